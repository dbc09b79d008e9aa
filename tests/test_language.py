"""Rules for the words of the catalogues that no reader should have to check again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from django.test import RequestFactory
from django.utils import translation
from django.views.i18n import JSONCatalog

from agreement.text.dates import NBSP
from agreement.text.lint.messages import MESSAGES
from tests.test_catalogues import FORMS, ROOT, SOURCES, parse

KAZAKH_MONTHS = "қаңтар|ақпан|наурыз|сәуір|мамыр|маусым|шілде|тамыз|қыркүйек|қазан|қараша|желтоқсан"
RUSSIAN_MONTHS = "января|февраля|марта|апреля|мая|июня|июля|августа|сентября|октября|ноября|декабря"
#: The nouns that a Kazakh number in figures is joined to by a hyphen. Any other ending depends on the number as it is
#: read: «10-ға», «20-ға», but «30-ға», «40-қа».
JOINED = ("редакция", "тармақ", "бөлім", "жол", "қосымша", "орн", "орын")


def translations(language: str) -> Iterator[tuple[str, str]]:
    """The English text and each translation of every message, and the sentences of the lint."""
    for package in SOURCES:
        for entry in parse(ROOT / package / "locale" / language / "LC_MESSAGES" / "django.po"):
            for text in entry.translations:
                yield entry.msgid, text
    for message in MESSAGES.values():
        for english, text in zip(message.en, getattr(message, language), strict=True):
            yield english, text


def breaking(pattern: str, language: str) -> list[str]:
    return [text for _, text in translations(language) if re.search(pattern, text)]


@pytest.mark.parametrize("language", FORMS)
def test_no_line_breaks_within_a_number_or_a_date(language):
    months = {"kk": KAZAKH_MONTHS, "ru": RUSSIAN_MONTHS}[language]
    assert breaking(rf"№ |\d (?:{months})|\d{{4}} (?:жылғы|г\.)|[Сс]ағат (?=[%\d])", language) == []
    assert breaking(r"(?:\)s|})-(?:редакция|тармақ|бөлім|қосымша)", language) == []


def test_a_kazakh_postposition_follows_the_date_and_the_time_stands_in_brackets():
    assert breaking(r"(?:clock|zone|moment|at)\)s\)?,? (?:бастап|дейін)", "kk") == []
    assert breaking(r"\((?:day|on|since|until)\)s, сағат", "kk") == []
    dated = [
        text for _, text in translations("kk") if re.search(r"\((?:day|since)\)s бастап", text) and "clock" in text
    ]
    assert len(dated) > 8
    assert [text for text in dated if f"(сағат{NBSP}%(" not in text] == []


def test_a_russian_time_of_day_has_its_preposition():
    """The clock of a moment at which something happens has «в». The clock of a period has «с» or «до» and is before
    the date: «с 09:00 1 марта», and not «с 1 марта в 09:00».
    """
    assert breaking(rf"(?<![вс]{NBSP})(?<!до{NBSP})(?<!%\(day\)s, )%\(\w*clock\)s", "ru") == []
    assert breaking(rf"\bв{NBSP}%\(\w*clock\)s", "ru")
    assert breaking(rf"\b(?:с|до) %\(\w+\)s в{NBSP}%\(\w*clock\)s", "ru") == []


def test_no_kazakh_ending_depends_on_how_a_number_is_read():
    assert breaking(r"ішінен", "kk") == [], "«10 ішінен 8» lacks a noun: write «8 / 10»"
    endings = {word for _, text in translations("kk") for word in re.findall(r"[)}][sd]?-([а-яәғқңөұүһі]+)", text)}
    assert {word for word in endings if not word.startswith(JOINED)} == set()


@pytest.mark.parametrize(
    ("language", "familiar"),
    [("kk", r"\bсіз(?:дің|ге|ді|ден|бен|де|дікі)?\b"), ("ru", r"\b(?:вы|вас|вам|вами|ваш[а-я]*)\b")],
)
def test_the_reader_is_addressed_in_one_way(language, familiar):
    assert breaking(familiar, language) == []


def test_the_agreement_is_not_called_by_the_word_for_a_consent():
    bare = r"(?<!пайдаланушы )(?<!пайдаланушының )\bкелісім(?!ге қосыл)"
    found = [
        (english, text)
        for english, text in translations("kk")
        if "agreement" in english.lower()
        and not re.search("consent|withdrawal", english.lower())
        and re.search(bare, text.lower())
    ]
    assert found == []


def test_no_notice_is_said_to_have_arrived():
    """A mail server took it, returned it or did not take it: that is all the site knows."""
    assert breaking(r"(?i)\bжетпе(?:ді|ген)|\bжетті\b(?! деген)", "kk") == []
    assert breaking(r"(?<!не значит, что письмо )\b(?:не )?дош(?:ло|ли|ёл)\b|доставлен", "ru") == []


def test_a_kazakh_sentence_about_the_dates_of_an_edition_names_the_edition():
    """It stands under a title, in a notice or in a list, where «Ол» has nothing to refer to."""
    assert breaking(r"^Ол %\((?:on|since)\)s", "kk") == []
    assert breaking(r"^Бұл редакция %\((?:on|since)\)s", "kk")


def test_an_edition_is_accepted_by_its_terms():
    """«Редакцияны қабылдау» is what a legislator does. A user joins («қосылу»), or accepts the terms."""
    assert breaking(r"(?i)(?:редакцияны|келісімін)(?: кез келген уақытта)?(?: қайта| әлі)? қабылда", "kk") == []
    assert breaking(r"(?i)қабылдау мерзім", "kk") == [], "the field is called «қосылу мерзімі»"


def test_a_kazakh_verbal_noun_has_no_plural():
    assert breaking(r"(?i)(?:алу|тарту|қосылу|тапсыру|тіркеу|бекіту)л[ае]р", "kk") == [], "add «жазбалары» or «саны»"


def test_a_kazakh_sentence_does_not_begin_with_the_name_of_a_model_or_a_channel():
    """Such names have a small first letter, in quotation marks too: «редакция «…» жойылды.»"""
    assert breaking(r"^«?(?:\{name\}|%\((?:object_name|class_name|model|channel)\)s)»? ", "kk") == []
    assert breaking(r"^%s: \w", "kk") == []


def test_kazakh_sentences_have_one_dash():
    assert breaking(" – ", "kk") == []


def test_the_meantime_in_kazakh_is_no_place():
    assert breaking(r"(?i)\bосы арада\b", "kk") == [], "write «осы аралықта»"


def test_a_notice_does_not_come_back_to_a_user():
    """«Хабарлама кімге жіберілмеді немесе қайтып келді» has one object for two verbs that need different cases."""
    assert breaking(r"(?i)(?:кімдерге|[ғгқк][ае]) жіберілме(?:ді|генін) немесе қайтып", "kk") == []


def test_the_outcomes_of_a_delivery_have_names_that_differ_in_meaning():
    """«Жіберілмеді» and «жөнелтілмеді» are the same: the first means failed, so the second must not mean skipped. On
    the page of sending, users who were not reached are «жіберілмеген»; most of them were skipped, so failed is an
    error.
    """
    names = dict(translations("kk"))
    assert (names["failed"], names["Failed"]) == ("жіберілмеді", "Жөнелту қатесі")
    assert [name for name in (names["skipped"], names["Skipped"]) if "жөнелтілмеді" in name.lower()] == []


def test_the_scripts_of_the_kazakh_desk_speak_whole_words():
    """Django's own Kazakh catalogue of its scripts has «10-ң 0-ы(і) таңдалды» and orders such as «таңда»."""
    with translation.override("kk"):
        found = json.loads(JSONCatalog(packages=["django.contrib.admin"]).get(RequestFactory().get("/")).content)
    words = [word for value in found["catalog"].values() for word in ([value] if isinstance(value, str) else value)]
    assert [word for word in words if re.search(r"\)s-|\(\w\)|\([а-яі]+\)$|\bтаңда$", word)] == []
    assert found["catalog"]["Choose a Date"] == "Күнді таңдаңыз"
    days = [words for name, words in found["catalog"].items() if name.startswith("abbrev. day")]
    assert sorted(days) == sorted("дс сс ср бс жм сб жс".split()), "as in the Unicode locale data (CLDR)"


def test_a_kazakh_example_is_set_off_by_a_comma():
    assert breaking(r"(?i)\bмысалы\b(?!,)", "kk") == []


def test_the_kazakh_name_of_the_agreement_has_a_capital_letter():
    assert breaking(r"\bпайдаланушы келісім", "kk") == []


@pytest.mark.parametrize(
    ("another", "one"),
    [
        (r"(?i)\bқұқығ(?:ым|ың|ыңыз|ы) (?:жоқ|бар)\b", "рұқсат"),
        (r"(?i)\bсұраныс", "сұрау"),
        (r"(?i)\bжариялаушылар", "жариялауға жауаптылар"),
        (r"(?i)\bпішімде(?:у|лген)|\bбезендірілу", "ресімдеу"),
        (r"(?i)\bқалың\b.* қаріп", "қою қаріп"),
        (r"(?i)\bбаптау бойынша\b", "параметр"),
        (r"(?i)\bтүйін\b", "сипаттама"),
        (r"(?i)редакциядан бас тарт", "редакцияны күшіне енгізуден бас тарту"),
        (r"(?i)\bкеш(?:тен|те[нт]?|ке|ті)\b", "кэш: «кеш» is the evening"),
        (r"(?i)\bхэш", "хеш"),
        (r"(?i)\bтүйме", "батырма"),
        (r"(?i)\bсынақ хат(?!ы|тары)", "сынақ хаты, сынақ хаттары"),
        (r"(?i)\bтүбір (?:хеш|сертификат)", "түбірлік"),
        (r"(?i)\bдеректер\w* өшір", "жою: «өшіру» is what an author does to a character"),
        (r"(?i)\bбезендіру (?:емес|салыстыр)", "ресімдеу"),
    ],
)
def test_each_thing_has_one_kazakh_name(another, one):
    assert breaking(another, "kk") == [], f"write «{one}»"


def test_a_kazakh_agreement_is_not_made_with_the_user_but_in_effect_for_them():
    """«Келісімнің Сізге қатысты қолданылуы тоқтатылды», as in the Russian texts."""
    assert breaking(r"(?i)\b(?:сізбен|онымен|пайдаланушымен)(?: жасалған)? (?:пайдаланушы )?келісім", "kk") == []


def test_a_kazakh_message_does_not_go_away():
    """As in Russian. «Өтіп кетті» and the like are auxiliary verbs."""
    assert breaking(r"(?i)\b(?:хат|хабарлама)(?:лар)?(?: ешқайда)? кет", "kk") == []


def test_users_are_informed_and_news_is_announced():
    """«Хабарланған пайдаланушы» is a user who was announced: «хабарлау» is to a user, and «хабардар ету» has one."""
    assert breaking(r"(?i)\bхабарлан(?:ған|атын) пайдаланушы|\bхабарлан(?:ған|атын)дар", "kk") == []


def test_a_form_is_not_called_by_the_kazakh_word_for_an_object():
    """In the admin «нысан» is an object. A page has a «форма»."""
    found = [
        text for english, text in translations("kk") if re.search(r"\bforms?\b", english) and re.search("нысан", text)
    ]
    assert found == []


def test_each_of_several_is_each_of_a_plural_in_kazakh():
    """«Қол қоюшының әрқайсысы» is each of one signer."""
    assert breaking(r"(?<![лдт][ае]р)[ндт][ыі]ң әрқайсы", "kk") == []
    assert breaking(r"[лдт][ае]рдың әрқайсы", "kk")


def test_a_kazakh_number_stands_before_its_noun():
    """It is «5-жол», and not «жол 5» as in English and in Russian."""
    assert breaking(rf"(?i)\b(?:{'|'.join(JOINED)}) (?:\{{|%\((?:number|line)\)s)", "kk") == []
    assert dict(translations("kk"))["line {}"] == "{}\N{NON-BREAKING HYPHEN}жол"


def test_a_moment_does_not_stand_in_brackets():
    """It ends with its zone in brackets: «… сағат 09:00 (Астана уақыты, UTC+5)»."""
    assert [breaking(r"\(%\(since\)s\)", language) for language in FORMS] == [[], []]


def test_what_must_be_done_is_in_the_kazakh_dative():
    assert breaking(r"у[ыі] тиіс\b", "kk") == [], "write «қабылдауға тиіс»"
    assert breaking(r"(?:уға|уге) тиіс\b", "kk")


def test_no_kazakh_ending_follows_the_letters_utc():
    """They are read in English, in Kazakh or as Russian letters: write «UTC уақытынан»."""
    assert breaking(r"UTC-[а-яәғқңөұүһі]", "kk") == []


def test_a_kazakh_participle_has_its_noun():
    """«Осы беттегінің бәрі», «басқа тілдегісі»: the reader must guess of what."""
    assert breaking(r"(?i)\w[дт][ае]гі(?:сі|нің|ні|лері)\b", "kk") == []


def test_a_consent_is_to_the_collection_and_processing_of_personal_data():
    assert breaking(r"соглас\w+ на обработку", "ru") == []


def test_an_agreement_is_not_with_the_user_but_in_effect_for_them():
    """The law speaks of «действие соглашения в отношении пользователя» and «в связи с отзывом согласия»."""
    assert breaking(r"соглашени\w* с (?:Вами|ним|пользователем)|прекратить соглашение|по отзыву", "ru") == []


def test_a_breach_is_announced_with_its_preposition():
    assert breaking(r"(?i)нарушение (?:нельзя |уже )?объяв|объяв\w+ нарушение", "ru") == []


def test_a_russian_moment_with_its_zone_follows_a_colon():
    """It is «1 марта 2026 г., 09:00 (время Астаны, UTC+5)», so in a sentence it lacks the «в» before the time."""
    moments = r"begins|ends|due|effective|proposed|deadline|accept_by|earliest|effective_from|published_at|registered"
    assert breaking(rf"(?<!: )%\((?:{moments}|binding_from|scheduled_from)\)s", "ru") == []


def test_a_russian_date_is_not_the_end_of_a_sentence():
    """It ends with «г.», and a second full stop would follow: «10 декабря 2026 г..»"""
    assert breaking(r"%\((?:\w*day|on|accept_by|received|planned|cancelled)\)s\.", "ru") == []


def test_a_russian_sentence_does_not_begin_with_a_name_that_its_verb_agrees_with():
    """Names of models have a small first letter, and the name of an edition is that of its agreement and a number:
    «Пользовательское соглашение, редакция № 3 уже опубликована.»
    """
    assert breaking(r"^(?:\{name\}|%\((?:object_name|class_name|model|channel)\)s) |^%\(name\)s с ", "ru") == []
    assert breaking(r"^%\((?:edition|binding|scheduled)\)s [а-яё]", "ru") == []


def test_no_russian_preposition_governs_the_name_of_a_field_or_a_file():
    """«Похож на фамилия», «В Файл нет текста»: such a name is in the nominative."""
    assert breaking(r"(?i)(?<!\w)(?:в|для|за|из|к|на|о|от|под|с) %\((?:verbose_name|field|name)\)s", "ru") == []


def test_an_acceptance_is_not_called_by_the_word_for_a_consent():
    found = [
        text
        for english, text in translations("ru")
        if re.search(r"(?i)\baccept", english) and not re.search("(?i)consent|withdraw", english)
    ]
    assert len(found) > 80
    assert [text for text in found if re.search(r"(?i)\bсогласи[еяию]", text)] == []


def test_a_refused_permission_is_named_by_an_imperfective_verb():
    """It follows «Вам не разрешено:», which needs «публиковать» and not «опубликовать»."""
    actions = {"publish this draft", "delete this draft", "cancel this edition", "edit this draft", "export evidence"}
    words = [text for english, text in translations("ru") if english in actions]
    assert len(words) == len(actions)
    assert [text for text in words if re.match(r"(?:опубликова|удали|отмени|измени|выгрузи)ть ", text)] == []


def test_the_record_of_a_user_is_called_by_the_title_of_its_page():
    assert dict(translations("kk"))["My record"] == "Жазбаларым"
    assert breaking(r"(?i)менің жазбалар", "kk") == []


@pytest.mark.parametrize("name", ["court.ru.md", "editors.ru.md", "owners.ru.md"])
def test_the_russian_guides_address_the_reader_as_the_pages_do(name):
    guide = (ROOT / "agreement/docs" / name).read_text(encoding="utf-8")
    assert re.findall(r"\b(?:вы|вас|вам|вами|ваш[а-я]*)\b", guide) == []


def test_what_changed_is_compared_with_an_edition():
    assert breaking(r"изменилось с редакци", "ru") == []


def test_a_sentence_names_the_edition():
    """Under the title of the agreement «Она» has nothing to refer to."""
    assert breaking(r"^Она .*clock", "ru") == []


def test_the_people_who_publish_have_one_name():
    assert breaking(r"(?i)\bпубликующ(?:ие|их|им)\b", "ru") == []


def test_a_message_does_not_go_away():
    """It is sent: «уйдёт», «ушло» are of the spoken language."""
    assert breaking(r"(?i)\b(?:уйд(?:ут|ёт)|ушл[аои]|пропустит|пустить дальше)\b", "ru") == []


def test_the_audit_log_is_not_called_by_the_name_of_the_log():
    """«Журнал» alone is the log to which the site can only add, with its checkpoints."""
    found = [text for english, text in translations("ru") if re.search(r"audit (?:log|entry)", english)]
    assert len(found) > 8
    assert [text for text in found if not re.search(r"журнал\w* действий", text)] == []
    guide = (ROOT / "agreement/docs/editors.ru.md").read_text(encoding="utf-8")
    assert re.findall(r"(?i)журнал\w*(?! действий|\w)", re.sub(r"\s+", " ", guide)) == []


def test_a_russian_user_accepts_the_terms_of_an_edition():
    """As in Kazakh: to accept an edition, «принять редакцию», is what a legislator does."""
    assert breaking(r"(?i)(?<!\w)прин(?:ять|яли|имаете|имает|имаю|ите)(?:,? \w+)? редакци", "ru") == []
    assert breaking(r"(?i)прочита\w+[^.]* принять(?! услови| её услови)", "ru") == []


@pytest.mark.parametrize(
    ("another", "one"),
    [
        (r"(?i)(?<!\w)прочтите", "прочитайте"),
        (r"(?i)отслеж", "исправления в режиме рецензирования"),
        (r"(?i)удалени\w+ персональных данных", "уничтожение персональных данных"),
        (r"(?i)кому [^.]*к котор", "не отправлено или возвращено"),
        (r"в такое время:|до момента:", "время отправки первого письма: …"),
        (r"^Это слова|, без отличий", "дословно"),
        (r"(?i)(?<!\w)для вас(?: больше не)? действ|действу\w+ для вас", "в отношении Вас"),
        (r"(?i)(?<!\w)данн(?:ый|ого|ому) (?:пользовател|сайт|документ|соглашени)", "этот"),
    ],
)
def test_each_thing_has_one_russian_name(another, one):
    assert breaking(another, "ru") == [], f"write «{one}»"


def test_a_russian_dash_is_an_em_dash():
    assert breaking(r" [–-] ", "ru") == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?<!-)\bmails\b|\ba (?:test )?mail\b(?! (?:server|program))",
        r"\bin in the\b",
        r"^Who \w+ .* gets\b",
        r"\bstands? in (?:it|this|edition)\b",
        r"\bNo\. %",
    ],
)
def test_english_is_plain(pattern):
    assert [english for english, _ in translations("ru") if re.search(pattern, english)] == []


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.]) (?=[А-ЯЁӘҒҚҢӨҰҮҺІ])", re.sub(r"\s+", " ", text))


@pytest.mark.parametrize("language", FORMS)
def test_a_guide_quotes_the_words_of_the_screen(language):
    """Each sentence that the guide quotes, with its full stop, is one of the catalogue or of the lint; «…» and examples
    stand for values.
    """
    guide = re.sub(r"\s+", " ", (ROOT / f"agreement/docs/editors.{language}.md").read_text(encoding="utf-8"))
    value = re.compile(r"%\\\(\w+\\\)s|\\\{\w+\\\}")
    screen = {value.sub(".*", re.escape(one)) for _, text in translations(language) for one in sentences(text)}
    quoted = [one for words in re.findall(r"«((?:[^«»]|«[^»]*»)+[.])»", guide) for one in sentences(words)]
    assert len(quoted) > 20
    assert [words for words in quoted if not any(re.fullmatch(one, words) for one in screen)] == []


def test_the_guides_for_owners_cite_the_same_articles():
    cited = {}
    for language in FORMS:
        guide = (ROOT / f"agreement/docs/owners.{language}.md").read_text(encoding="utf-8")
        cited[language] = [re.findall(r"\d+", norm) for norm in re.findall(r"^\| ([^|]+) \|", guide, re.M)]
    assert len(cited["kk"]) > 10
    assert cited["kk"] == cited["ru"]


@pytest.mark.parametrize("language", FORMS)
def test_a_guide_quotes_the_beginnings_of_the_words_of_the_screen(language):
    """What it quotes up to a colon and «…» is what a sentence or a heading of the screen begins with."""
    guide = re.sub(r"\s+", " ", (ROOT / f"agreement/docs/editors.{language}.md").read_text(encoding="utf-8"))
    screen = [one for _, text in translations(language) for one in sentences(text)]
    quoted = re.findall(r"«([^«»…]{12,}:) …\.?»", guide)
    assert len(quoted) > 5
    last = [sentences(words)[-1] for words in quoted]
    assert [words for words in last if not any(one.startswith(words) for one in screen)] == []


@pytest.mark.parametrize("language", FORMS)
def test_the_guide_for_lawyers_names_what_is_on_the_screen(language):
    """What it writes in bold without a full stop, and what it quotes, is on a page, in a file or in an answer."""
    guide = re.sub(r"\s+", " ", (ROOT / f"agreement/docs/court.{language}.md").read_text(encoding="utf-8"))
    bold = re.findall(r"\*\*([^*]+)\*\*", guide)
    named = [words for words in bold if not words.endswith(".")] + re.findall("«([^»]+)»", guide)
    answers = {"OK", "REFUSED", "NOT COMPARED"}
    screen = {text.lower() for _, text in translations(language)}
    assert len(named) > 12
    assert [words for words in named if words.lower() not in screen and words not in answers] == []


def test_the_guides_for_lawyers_say_the_same():
    russian, kazakh = (
        (ROOT / f"agreement/docs/court.{language}.md").read_text(encoding="utf-8") for language in ("ru", "kk")
    )
    for shape in (r"^#+ ", r"^- ", r"^\d\. ", r"^\| ", r"`[^`]+`"):
        counts = [len(re.findall(shape, guide, re.M)) for guide in (russian, kazakh)]
        assert counts[0] == counts[1] > 0, shape
