"""spark-submit jobs/93_caption_scores.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("caption_scores")
