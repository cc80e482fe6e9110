"""A person's browser as a program: opens an address, agrees with everything, keeps cookies."""

import sys

import httpx2

with httpx2.Client(follow_redirects=True, trust_env=False) as client:
    client.get(sys.argv[1])
