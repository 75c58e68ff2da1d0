"""Training that outlasts interruptions: episodes or labelled examples, one loop for both."""
