# One image for everything in compose.yaml: the package, its worker, and the demonstration.
#
# Dependencies come from requirements.lock, every file checked against its hash; the project is installed without
# fetching anything more.
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY coordinator coordinator
COPY workers workers
COPY coordinator_demo coordinator_demo
RUN pip install --no-deps --no-build-isolation .

# Each process of the demonstration writes its history into /history.
RUN useradd --system --uid 10001 coordinator && install -d -o coordinator /history
USER coordinator
VOLUME /history
ENV DEMO_HISTORY=/history

CMD ["python", "-m", "coordinator_demo", "--help"]
