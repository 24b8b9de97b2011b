#!/usr/bin/env bash
# The first line stays, this one goes.
set -eu
