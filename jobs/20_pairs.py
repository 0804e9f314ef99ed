"""spark-submit jobs/20_pairs.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("pairs")
