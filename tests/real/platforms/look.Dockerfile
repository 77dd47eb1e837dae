FROM --platform=linux/amd64 images AS amd64
FROM --platform=linux/arm64 images AS arm64
FROM --platform=linux/arm/v7 images AS arm
FROM busybox
COPY --from=amd64 / /amd64
COPY --from=arm64 / /arm64
COPY --from=arm / /arm
