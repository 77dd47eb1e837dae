cat vendor/*/mode; echo "$AFTER"; id -u
