"""From panels to stored posteriors: the fit resource, several fits at once, and the arrays that are kept."""
