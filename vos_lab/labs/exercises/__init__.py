"""One module per notebook (n00 to n13) and per lab (lab1 ...): its exercises, each with a right answer and the wrong ones that
its check must know."""
