"""Does a statement say how it is paid, and does a banking app read the same from its QR code?"""

from __future__ import annotations

import io
from datetime import timedelta
from decimal import Decimal

import pypdfium2
import pytest
import segno
import zxingcpp
from django.utils import translation
from django.utils.formats import date_format
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from fabgate.collector.ground.models import Payer, Workshop
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.paying import numbers
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.statements import payment, read
from fabgate.collector.money.billing.statements.compose import Head, Line, Statement, Words
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.money.paper.statements import how_to_pay, pdf, qr_code, rows
from fabgate.collector.recording.sessions import corrections
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.used import Used

IBAN = "FR7630006000011234567890189"
LATER = NOON + timedelta(days=60)
NEXT = terms.next_month(FIRST)


@pytest.fixture
def shop_with_account(shop: Used) -> Used:
    """m-1 owes 3.00, and m-2 1.00; the workshop has an account."""
    Workshop.objects.create(
        name="Atelier des Deux-Rives", account_holder="Les Amis de la Gravière", iban=IBAN, due_days=30
    )
    return shop


def start(currency: str = "EUR", *, includes_vat: bool | None = True) -> None:
    terms.start(currency, FIRST, "UTC", includes_vat=includes_vat, actor="maya")
    billing.rule("price=0.10 vat_code=V20" if currency == "EUR" else "price=10 vat_code=V20")


def use(shop: Used) -> None:
    shop.session("s-1", "m-1", NOON, 30)
    shop.session("s-2", "m-2", NOON + timedelta(hours=1), 10)


def close(first=FIRST) -> None:
    closing.close(first, LATER + timedelta(days=40), actor="maya", reason="a test")


def scanned(statement: Statement) -> list[str]:
    """Return the texts of the QR codes on the pages of the PDF, read from their pictures."""
    document = pypdfium2.PdfDocument(pdf.of(statement))
    pictures = [page.render(scale=2).to_pil() for page in document]
    return [code.text for picture in pictures for code in zxingcpp.read_barcodes(picture)]


def words(statement: Statement) -> str:
    return " ".join("\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.of(statement))).pages).split())


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_banking_app_reads_account_amount_and_number_from_the_paper(shop_with_account, lang):
    start()
    Payer.objects.create(id="m-1", member_id="m-1", lang=lang)
    Workshop.objects.update(bic="AGRIFRPP")
    use(shop_with_account)
    close()
    statement = read.of(FIRST, "m-1")
    assert scanned(statement) == [
        f"BCD\n002\n1\nSCT\nAGRIFRPP\nLes Amis de la Gravière\n{IBAN}\nEUR3.00\n\n\n{MONTH}/m-1",
    ]
    text = words(statement)
    for shown in {
        "en": ("To pay €3.00", "Account holder Les Amis de la Gravière", "BIC AGRIFRPP", f"Reference {MONTH}/m-1"),
        "fr": ("À payer 3,00 €", "Titulaire du compte Les Amis de la Gravière", f"Référence {MONTH}/m-1"),
    }[lang]:
        assert shown in text
    assert "IBAN FR76 3000 6000 0112 3456 7890 189" in text
    with translation.override(lang):
        assert str(how_to_pay.PAYMENTS_KEPT) in text
    due_on = payment.of(statement).due_on
    assert due_on == (LATER + timedelta(days=70)).date()


def test_the_amount_to_pay_has_its_vat_and_is_not_asked_for_before_it_is_known(shop_with_account):
    start(includes_vat=False)
    use(shop_with_account)
    close()
    statement = read.of(FIRST, "m-1")
    assert (statement.amount_minor, statement.to_pay_minor) == (300, None)
    assert scanned(statement) == []
    assert "To pay not known yet" in words(statement)
    rates.set_rate("V20", Decimal(20), actor="maya")
    statement = read.of(FIRST, "m-1")
    assert statement.to_pay_minor == 360
    assert "EUR3.60" in scanned(statement)[0].splitlines()
    text = words(statement)
    assert "V20 20% €3.00 €0.60 €3.60" in text
    assert "Total without VAT" in text
    assert "To pay €3.60" in text


def test_what_credit_settles_is_not_asked_for_again(shop_with_account):
    start()
    use(shop_with_account)
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    ledger.credit("m-1", 1_000, Paid("cash"), author="kim", now=NOON)
    modes.set_mode("m-2", NEXT, prepays=True, actor="maya")
    close()
    statement = read.of(FIRST, "m-1")
    assert (statement.amount_minor, statement.to_pay_minor) == (300, 0)
    assert scanned(statement) == []
    assert "No payment is due on this statement." in words(statement)
    # m-2 paid by statement, and prepays now: a correction is due by statement, and a line is paid from credit
    corrections.correct("s-2", "time", str(20 * 60_000), author="maya", reason="Longer")
    decisions.add_line("m-2", "Plywood", 2_000, day=FIRST, author="maya")
    close(NEXT)
    statement = read.of(NEXT, "m-2")
    assert (statement.amount_minor, statement.to_pay_minor) == (2_100, 100)
    assert "EUR1.00" in scanned(statement)[0].splitlines()
    assert "To pay €1.00" in words(statement)


def test_only_a_final_statement_in_euros_with_an_account_has_a_code(shop_with_account):
    start()
    use(shop_with_account)
    refresh.refresh_all()
    provisional = read.of(FIRST, "m-1")
    assert qr_code.of(provisional) is None
    assert "Do not pay yet: the month is not closed, and the amount may change." in words(provisional)
    Workshop.objects.update(iban="")
    close()
    statement = read.of(FIRST, "m-1")
    assert qr_code.of(statement) is None
    assert "To pay €3.00" in words(statement)
    assert "Account holder" not in words(statement)


def test_no_code_asks_for_a_transfer_in_another_currency(shop_with_account):
    start("JPY")
    use(shop_with_account)
    close()
    assert qr_code.of(read.of(FIRST, "m-1")) is None
    assert "To pay ¥300" in words(read.of(FIRST, "m-1"))


def test_what_the_workshop_writes_about_payments_is_printed_as_it_was_when_the_month_was_closed(shop_with_account):
    start()
    use(shop_with_account)
    Workshop.objects.update(
        payment_text="Cash at the desk, too.", payments_kept="See the accounts in Paheko.", due_days=0
    )
    close()
    before = pdf.of(read.of(FIRST, "m-1"))
    text = words(read.of(FIRST, "m-1"))
    assert "Cash at the desk, too." in text
    assert "See the accounts in Paheko." in text
    assert "not in this system" not in text
    assert payment.of(read.of(FIRST, "m-1")).due_on == (LATER + timedelta(days=40)).date()
    Workshop.objects.update(iban="DE89370400440532013000", payment_text="", payments_kept="", due_days=None)
    assert pdf.of(read.of(FIRST, "m-1")) == before


LETTERS = st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])


@given(
    st.text(LETTERS, max_size=70),
    st.integers(-10, 200_000_000_000),
    st.text(LETTERS, min_size=1, max_size=160),
    st.sampled_from(["", "AGRIFRPP", "AGRIFRPPXXX"]),
)
def test_a_code_keeps_the_limits_of_its_standard(holder, minor, payer, bic):
    """EPC069-12, version 2.1: at most 331 bytes, version 13, a name of 70 and a text of 140 letters, 0.01 to 999999999.99."""
    head = Head(FIRST, payer, "EUR", 2, includes_vat=None, zone="UTC", closed_at=LATER)
    called = Words({}, {}, {}, {}, {"name": "Lab", "account_holder": holder, "iban": IBAN, "bic": bic})
    statement = Statement(head, called, [], [Line(FIRST, LATER, "Plywood", minor, "", "")])
    text, code = payment.epc_text(statement), qr_code.of(statement)
    fits = 0 < minor <= 99_999_999_999 and len(head.number) <= 140
    if text is None:
        assert code is None
        assert not fits or len((holder + head.number).encode()) > 331 - 80
        return
    assert fits
    assert len(text.encode()) <= 331
    assert code is not None
    assert isinstance(code.version, int)
    assert code.version <= 13
    assert code.error == "M"
    *before, purpose, structured, reference = text.split("\n")
    assert before[:4] == ["BCD", "002", "1", "SCT"]
    assert (purpose, structured, reference) == ("", "", head.number)
    assert Decimal(before[7].removeprefix("EUR")) * 100 == minor
    assert 1 <= len(before[5]) <= 70


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("fr76 3000 6000 0112 3456 7890 189", IBAN),
        ("DE89-3704-0044-0532-0130-00", "DE89370400440532013000"),
        ("GB82 WEST 1234 5698 7654 32", "GB82WEST12345698765432"),
        ("NO93 8601 1117 947", "NO9386011117947"),
        ("", ""),
    ],
)
def test_an_iban_is_stored_without_spaces(typed, stored):
    assert numbers.iban(typed) == stored


@given(st.integers(2, 26), st.sampled_from("0123456789"))
def test_an_iban_with_one_wrong_digit_is_refused(place, digit):
    """MOD 97-10 finds each single error."""
    wrong = IBAN[:place] + digit + IBAN[place + 1 :]
    if wrong == IBAN:
        return
    with pytest.raises(UsageError, match="not a valid IBAN"):
        numbers.iban(wrong)


@pytest.mark.parametrize("typed", ["FR76", "3000600001123456789018900", "FR76 3000 6000 0112 3456 7890 189!"])
def test_what_is_no_iban_at_all_is_refused(typed):
    with pytest.raises(UsageError, match="wanted an IBAN"):
        numbers.iban(typed)


@pytest.mark.parametrize("typed", ["AGRI", "AGRIFRPPX", "AGR1 2 FRPP"])
def test_a_bic_has_eight_or_eleven_letters(typed):
    assert numbers.bic("agri fr pp") == "AGRIFRPP"
    with pytest.raises(UsageError, match="wanted a BIC"):
        numbers.bic(typed)


def test_segno_is_asked_for_what_the_standard_wants(shop_with_account):
    assert segno.make_qr("x" * 331, error="m", boost_error=False, mode="byte").version == 13


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_statement_with_a_few_lines_and_three_vat_codes_has_one_page(shop_with_account, lang):
    start()
    Payer.objects.create(id="m-1", member_id="m-1", lang=lang)
    Workshop.objects.update(payment_text="By transfer, or by card at the desk.")
    for number, code in enumerate(("V20", "V5.5", "")):
        decisions.add_line("m-1", f"Plywood {number}", 1_000, day=FIRST, author="maya", vat_code=code)
    rates.set_rate("V20", Decimal(20), actor="maya")
    rates.set_rate("V5.5", Decimal("5.5"), actor="maya")
    rates.set_rate("", Decimal(0), actor="maya")
    close()
    statement = read.of(FIRST, "m-1")
    assert len(PdfReader(io.BytesIO(pdf.of(statement))).pages) == 1
    assert len(scanned(statement)) == 1
    assert "Billed time is" not in words(statement)


def test_the_head_of_a_statement_has_what_is_to_pay_and_until_when(shop_with_account):
    start()
    use(shop_with_account)
    close()
    found = rows.facts(read.of(FIRST, "m-1"))
    due_on = (LATER + timedelta(days=70)).date()
    assert ("To pay", "€3.00") in found
    assert ("Due date", date_format(due_on, "DATE_FORMAT")) in found
    text = words(read.of(FIRST, "m-1"))
    assert text.index("To pay €3.00") < text.index("Amount")


def test_a_statement_that_asks_for_no_payment_has_no_amount_to_pay_in_its_head(shop_with_account):
    start()
    decisions.add_line("m-1", "Refund", -500, day=FIRST, author="maya")
    close()
    statement = read.of(FIRST, "m-1")
    assert "To pay" not in dict(rows.facts(statement))


def test_what_is_below_zero_is_owed_to_the_payer_once_it_is_final(shop_with_account):
    start()
    decisions.add_line("m-1", "Refund", -512, day=FIRST, author="maya")
    assert "owes you" not in words(read.of(FIRST, "m-1"))
    close()
    text = words(read.of(FIRST, "m-1"))
    assert "No payment is due on this statement. The workshop owes you €5.12, and settles it outside" in text


def test_a_session_to_check_says_that_it_may_be_charged_later(shop_with_account):
    start()
    shop_with_account.session("s-1", "m-1", NOON, 30, reason="power-loss", uncertainty_ms=90_000)
    close()
    assert "In review" in words(read.of(FIRST, "m-1"))
    assert "not charged yet; once checked, it may be charged in a later month" in words(read.of(FIRST, "m-1"))


@pytest.mark.parametrize(("hours", "is_named"), [("00:00-24:00", True), ("00:00-00:30", False)])
def test_a_session_wholly_in_peak_hours_names_them(shop_with_account, hours, is_named):
    terms.start("EUR", FIRST, "UTC", includes_vat=True, actor="maya")
    billing.rule(f"price=0.10 peak='mon-sun {hours} 0.15'")
    use(shop_with_account)
    close()
    statement = read.of(FIRST, "m-1")
    assert ("price of peak hours: all days, 00:00\N{EN DASH}24:00" in words(statement)) == is_named
    assert ("\N{MULTIPLICATION SIGN} €0.15/min" in words(statement)) == is_named
