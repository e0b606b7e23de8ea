"""Vision encoders, connectors, language models and tokenizers: what turns pixels and text into hidden states."""

COMPONENTS: dict[str, dict[str, str]] = {}
