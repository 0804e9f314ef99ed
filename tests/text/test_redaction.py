"""E-mail addresses and phone numbers: what is erased, and the many numbers that are not."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.text.redaction import redact_emails, redact_phones

EMAILS = [
    "jane@example.com", "jane.doe+photos@mail.example.co.uk", "JANE_DOE@EXAMPLE.COM", "info@163.com", "a@3m.com",
    "j%d@example-site.org", "müller@bücher.de", "x@sub.2x.example.com", "почта@пример.рф",
]  # fmt: skip
NO_EMAILS = [
    "@handle", "photo@2x.png", "icon@3x.jpg", "me @ home", "a@b", "5 @ $3.50", "user@localhost", "dinner @7.30pm",
    "foo@", "@", "cat",
]  # fmt: skip

PHONES = [
    "+49 30 12345678", "+49 (0)30 123456-78", "+1 212-555-1234", "+12125551234", "+33 1 23 45 67 89",
    "+86 138 1234 5678", "+44 (0) 20 7946 0958", "0049 30 1234567", "0033 1 23 45 67 89",
    "212-555-1234", "(212) 555-1234", "(212) 555 1234", "(212)555-1234", "1-800-555-1234", "800.555.1234",
    "212 555-1234", "(030) 123456",
    "(11) 91234-5678", "(030) 1234567", "030 1234567", "030/1234567", "0171/1234567", "0171-1234567", "020 7946 0958",
    "07700 900123", "0800 123 456", "090-1234-5678", "03-1234-5678", "02 9876 5432",
    "01 23 45 67 89", "01.23.45.67.89", "06-12-34-56-78", "8 (495) 123-45-67", "7 495 123-45-67", "8-800-555-35-35",
]  # fmt: skip
LABELLED = [
    ("Tel: 5551234", "Tel: <phone>"),
    ("Tel.5551234", "Tel.<phone>"),
    ("тел. 123-45-67", "тел. <phone>"),
    ("电话：13812345678", "电话：<phone>"),
    ("电话13812345678", "电话<phone>"),
    ("WhatsApp: 98765 43210", "WhatsApp: <phone>"),
    ("Phone: 212 555 1234", "Phone: <phone>"),
    ("fax 555 12 34", "fax <phone>"),
]
NO_PHONES = [
    # years and dates
    "1984", "1914-1918", "(1914-1918)", "2019 2020 2021", "2019-2020-2021", "2021-03-04", "2021-03-04 10:20:30",
    "01.02.2003", "01/02/2003 10:30", "05.06.2019 12 Uhr", "12/31/1999", "20210304", "2021.03.04 - 2021.03.10",
    "Smith (2019)", "0900-1700", "10:20:30", "from 04-05-2019 to 06-05-2019", "20210304102030",
    # prices and quantities
    "$1,299.00", "1.299.000,00 €", "EUR 1 299 000", "USD 10000000", "1 000 000 000", "123456789", "99.99.99",
    "Rp 1.500.000", "$1 010 000 000", "1 010 000 000 €", "€ 0,99", "¥10000000", "+100%", "0.123456789", "1,234,567,890",
    # dimensions
    "1920x1080", "1920 x 1080", "3840 x 2160 x 1000", "640 480 1080", "300x250px", "100-200-300 mm", "21.0 x 29.7 cm",
    # ISBN, EAN, catalogue numbers, versions, addresses of machines
    "ISBN 978-3-16-148410-0", "978-0-306-40615-7", "978 0 306 40615 7", "9783161484100", "0-306-40615-2",
    "0 306 40615 2", "ISBN-10: 0-19-852663-6", "978-316-148-4100", "0012345678905", "4006381333931", "192.168.100.123",
    "10.0.0.1", "v1.2.3456.7890", "SKU-212-555-1234", "212-555-1234-5678", "IMG_20190101_123456", "ID 1234567890123",
    "12345678_1234567890_n", "https://example.com/212-555-1234", "item=0171-1234567", "4111 1111 1111 1111",
    "DIN 0123 45", "U2 2000 3000", "1-2-3-4-5-6-7", "40.7128, -74.0060", "hotel 2019 2020",
    # phone numbers that nothing tells from other numbers: left, and documented so
    "212 555 1234", "98765 43210", "13812345678",
]  # fmt: skip


def erased(redact, *texts):
    return redact(pa.array(texts, pa.string())).to_pylist()


@pytest.mark.parametrize("email", EMAILS)
def test_emails_become_a_mark(email):
    frames = ["{}", "write to {}!", "mailto:{}", "<{}>", "«{}»", "me ({})", "{}, {}", "{} {}", "mail {}."]
    texts = [frame.replace("{}", email) for frame in frames]
    assert erased(redact_emails, *texts) == [frame.replace("{}", "<email>") for frame in frames]


def test_no_emails_stay():
    assert erased(redact_emails, *NO_EMAILS) == NO_EMAILS


@pytest.mark.parametrize("phone", PHONES)
def test_phones_become_a_mark(phone):
    frames = ["{}", "call {}!", "call {}.", "call {}, now", "Tel: {}", "[{}]", "{}, {}", "{} / {} / {}", "电话{}号"]
    if not phone.startswith("00"):  # parted by one space, the next number's 00 could as well be a group
        frames.append("{} {}")
    texts = [frame.replace("{}", phone) for frame in frames]
    assert erased(redact_phones, *texts) == [frame.replace("{}", "<phone>") for frame in frames]


def test_numbers_behind_a_word_for_telephone():
    assert erased(redact_phones, *(text for text, _ in LABELLED)) == [expected for _, expected in LABELLED]


@pytest.mark.parametrize("frame", ["{}", "from {} on", "({})", "{}.", "a cat, {}", "{}!"])
def test_other_numbers_stay(frame):
    texts = [frame.replace("{}", text) for text in NO_PHONES]
    assert erased(redact_phones, *texts) == texts


date_forms = st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d", "%d %m %Y", "%y-%m-%d"])
date_tails = st.sampled_from(["", " 10:20", " 10:20:30", " 12 Uhr", "T10:20:30", " - 2020", ", 1999"])
dates = st.builds(lambda date, form, tail: date.strftime(form) + tail, st.dates(), date_forms, date_tails)
dimensions = st.builds(
    "{}{}{} pixels".format, st.integers(1, 9999), st.sampled_from(["x", " x ", "×", " by ", "*"]), st.integers(1, 9999)
)
prices = st.builds(
    lambda amount, currency, parted: f"{currency}{amount:,}".replace(",", parted),
    st.integers(0, 10**10), st.sampled_from("$€£¥"), st.sampled_from([",", ".", " ", ""]),
)  # fmt: skip


def isbn13(digits, lengths):
    """An ISBN-13 in the English group, which starts with 0, hyphenated at the given publisher length."""
    body = f"{digits:08d}"
    check = -sum(int(d) * (1, 3)[i % 2] for i, d in enumerate("9780" + body)) % 10
    return f"978-0-{body[:lengths]}-{body[lengths:]}-{check}"


isbns = st.builds(
    lambda digits, length, parted: "ISBN " + isbn13(digits, length).replace("-", parted),
    st.integers(0, 10**8 - 1), st.integers(2, 7), st.sampled_from(["-", " "]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(dates, dimensions, prices, isbns), min_size=5, max_size=15))
def test_no_date_dimension_price_or_isbn_is_a_phone(texts):
    assert erased(redact_phones, *texts) == texts


samples = st.one_of(st.none(), st.text(max_size=20), st.sampled_from([*EMAILS, *PHONES, *NO_PHONES]))


@settings(max_examples=40, deadline=None)
@given(st.lists(samples, max_size=20), st.integers(0, 20))
def test_redaction_is_by_text_and_settles_at_once(texts, cut):
    array = pa.array(["x", *texts], pa.string()).slice(1)
    for redact in (redact_emails, redact_phones):
        once = redact(array)
        assert once.to_pylist() == erased(redact, *texts[:cut]) + erased(redact, *texts[cut:])
        assert redact(once) == once


def test_the_rest_of_a_text_is_untouched():
    text = "Ann (ann@example.com) and Bob <bob@example.com>: +1 212-555-1234 or 030 1234567, since 1984"
    [without_emails] = erased(redact_emails, text)
    assert erased(redact_phones, without_emails) == ["Ann (<email>) and Bob <<email>>: <phone> or <phone>, since 1984"]
