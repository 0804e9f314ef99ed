"""spark-submit jobs/84_near_clips.py RECIPE.yaml --work DIR [--set section.key=value]"""

from curation.cli import job

if __name__ == "__main__":
    job("near_clips")
