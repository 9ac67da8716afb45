"""What the facts come to: visits, intervals and metrics, by pure folds over integers."""
