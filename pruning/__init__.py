"""Token pruners: which vision tokens leave the vision encoder or the language model, and where."""

COMPONENTS: dict[str, dict[str, str]] = {}
