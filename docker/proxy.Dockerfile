# The proxy alone: no model, no GPU. Build from the project's folder:
#   docker build -f docker/proxy.Dockerfile -t its-proxy .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v "$PWD/panels.toml":/etc/its/panels.toml:ro its-proxy
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY constraints constraints
COPY its its
COPY proxy proxy
COPY sft sft
COPY eval eval
RUN python -m venv /opt/its \
 && /opt/its/bin/pip install --no-cache-dir --no-compile -c constraints/base.txt '.[redis,otel]' \
 && /opt/its/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim-bookworm
# Nobody's number, so that no file of the host is theirs.
RUN useradd --system --no-create-home --uid 10001 its
COPY --from=build /opt/its /opt/its
ENV PATH=/opt/its/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=2)"]
ENTRYPOINT ["its-proxy"]
CMD ["serve", "--config", "/etc/its/panels.toml", "--host", "0.0.0.0", "--port", "8000"]
