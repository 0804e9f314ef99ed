"""spark-submit jobs/50_draw.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("draw")
