# The service: docker build -t commonspace . && docker run -p 8000:8000 -v ./shop:/data/index -v ./keys.txt:/data/keys.txt:ro commonspace
# A PyTorch without CUDA makes a smaller image: pass its index as --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim-bookworm AS build

ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/commonspace
COPY pyproject.toml constraints.txt README.md LICENSE MANIFEST.in ./
COPY commonspace ./commonspace
RUN /opt/commonspace/bin/pip install --no-cache-dir --constraint constraints.txt ".[encoders,milvus,serve]"

FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Commonspace" \
      org.opencontainers.image.source="https://github.com/commonspace-ml/commonspace" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 10001 commonspace \
    && mkdir /data \
    && chown commonspace:commonspace /data
COPY --from=build /opt/commonspace /opt/commonspace
ENV PATH="/opt/commonspace/bin:$PATH" PYTHONUNBUFFERED=1
USER 10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["commonspace"]
CMD ["serve", "/data/index", "--host", "0.0.0.0", "--port", "8000", "--keys", "/data/keys.txt"]
