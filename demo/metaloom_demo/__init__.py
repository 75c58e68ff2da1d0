"""The demo: few-shot tasks on handwritten digits, solved with a small library."""
