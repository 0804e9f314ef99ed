"""spark-submit jobs/40_count.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("count")
