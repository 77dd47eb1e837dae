#!/bin/sh
set -e
if [ "$1" = redis-server ]; then
    shift
    redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --save '' --daemonize yes "$@" >/dev/null
    until redis-cli -p "$REDIS_PORT" ping >/dev/null 2>&1; do sleep 0.1; done
    for seed in /init/*.redis; do
        [ -e "$seed" ] && redis-cli -p "$REDIS_PORT" < "$seed" >/dev/null
    done
    exec tail --pid="$(pidof redis-server)" -f /dev/null
fi
exec "$@"
