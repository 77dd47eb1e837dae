# The same instructions as in Dockerfile, with RUN lines that need no network: the page is served by
# what python itself has.
FROM debian:bookworm-slim

RUN python3 --version > /etc/python-version

WORKDIR /app

COPY requirements.txt .
RUN grep -c . requirements.txt > /app/requirements.count

COPY app.py .

ENV GREETING="Hello from kiln"
EXPOSE 5000
ENTRYPOINT ["python3", "app.py"]
