"""How well questions are answered: by trained models, by language models that read text, and without any."""
