"""What a text is: its language, and whether it describes anything."""

from curation.text.judgement import LANGUAGE_RULE, judge
from curation.text.language import LanguageIdentifier
from curation.text.rules import DROP_RULES, apply_rules, drop_rules, redact

__all__ = ["DROP_RULES", "LANGUAGE_RULE", "LanguageIdentifier", "apply_rules", "drop_rules", "judge", "redact"]
