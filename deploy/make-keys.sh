#!/bin/sh
# Makes the keys of a new installation in the given directory. What is there already is never touched.
set -eu
umask 077
directory=$1

random() {
	head -c 32 /dev/urandom | base64 | tr -d '\n'
}

keep() {
	if [ ! -s "$directory/$1" ]; then
		printf '%s' "$2" >"$directory/.$1"
		mv "$directory/.$1" "$directory/$1"
		echo "made $1"
	fi
}

keep encryption_keys "k1:$(random)"
keep bootstrap_api_key "fg_$(random | tr '+/' '-_' | tr -d '=')"
