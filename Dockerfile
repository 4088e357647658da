# The sweep for Docker and Kubernetes work pools (prefect.yaml): docker build -t u1sweep .
FROM python:3.11-slim
WORKDIR /opt/u1sweep
ENV U1_HOME=/opt/u1sweep U1_CACHE=/data/cache PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1
COPY . .
RUN pip install uv \
    && uv pip sync --system --require-hashes requirements/lock.txt \
    && uv pip install --system --no-deps --editable .
VOLUME /data
ENTRYPOINT []
CMD ["u1", "--help"]
