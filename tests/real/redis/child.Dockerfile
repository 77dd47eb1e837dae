FROM redis:made
LABEL seeds="yes"
