#!/bin/sh
# The namespace, unless it is there. A worker adds its search attributes.
set -eu
tries=60
until temporal operator cluster health; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || exit 1
	sleep 1
done
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
	temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 14d
