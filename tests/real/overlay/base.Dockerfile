FROM busybox
ARG WHICH=first
RUN echo "$WHICH" > /which
