# syntax=docker/dockerfile:1
ARG EDITION=community
ARG BASE=busybox
ARG EMPTY
FROM ${BASE:-scratch} AS common
ARG EDITION
ARG EMPTY
ARG LATE=${EDITION}-late
ARG UPPER=${EDITION/comm/COMM}
ENV EDITION=$EDITION KEPT=${EMPTY:-fallback} ALT=${EMPTY:+never}
LABEL org.example.edition="$EDITION" \
      org.example.late='$LATE' \
      "org.example.with space"="a  b" \
      org.example.cut=${LATE%-late} org.example.head=${LATE##*-} \
      multi.line="one \
two"
LABEL maintainer=nobody late=$LATE upper=$UPPER

FROM common AS community
COPY . /files/

FROM common AS enterprise
COPY extra* src/**/*.txt /files/
RUN --mount=type=bind,target=/ctx cd /ctx && find . -type f | sort > /context.txt

FROM ${EDITION}
ARG SOURCE_DATE_EPOCH
ARG HTTP_PROXY
RUN echo "${HTTP_PROXY:-no proxy}" > /proxy; (cd /files && find . -type f | sort) > /listed
CMD cat /listed
