#!/bin/sh
echo "a tool from elsewhere"
