"""Clean agreements: other services, sections and ways of writing, and nothing for the lint to say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.corpus.bank import SECTIONS

KAZAKH, RUSSIAN = "аәбвгғ", "абвгде"


@dataclass(frozen=True)
class Agreement:
    """Which portal, which sections, and how it is written."""

    name: str
    portal: tuple[str, str]
    sections: str
    dot: str = "."
    capitals: bool = True
    heading: str = "## "
    between: str = "\n\n"
    items: str = "1)"
    preamble: tuple[str, str] | None = None
    tail: tuple[str, str] | None = None
    intro: tuple[str, str] | None = None
    """Stands between a section and its first clause."""
    ends: tuple[str, str] = (".", ".")
    """What a clause ends with, in each language."""
    bold: bool = False
    """Is the number bold, together with the clause's first word?"""

    def texts(self) -> dict[str, str]:
        return {"kk": self._text("kk", 0), "ru": self._text("ru", 1)}

    def _text(self, language: str, column: int) -> str:
        names = self.sections.split()
        numbers = {
            f"{{{name}.{clause}}}": f"{section}.{clause}"
            for section, name in enumerate(names, start=1)
            for clause in range(1, 20)
        }
        title = ("Пайдаланушы келісімі", "Пользовательское соглашение")[column]
        blocks = [("# " if self.heading else "") + title]
        if self.preamble:
            blocks.append(self.preamble[column])
        for section, name in enumerate(names, start=1):
            heading = SECTIONS[name][column]
            heading = heading.upper() if self.capitals else heading
            blocks.append(f"{self.heading}{section}. {heading}")
            if self.intro:
                blocks.append(self.intro[column])
            for place, clause in enumerate(SECTIONS[name].clauses, start=1):
                words = re.sub(r"\.$", self.ends[column], clause[column])
                if self.bold:
                    words = f"{words.replace(' ', '** ', 1)}"
                blocks.append(f"{'**' * self.bold}{section}.{place}{self.dot} {words}")
                for number, item in enumerate(clause.items, start=1):
                    blocks.append(f"{self._label(number, section, place, column)} {item[column]}")
        if self.tail:
            blocks.append(self.tail[column])
        text = self.between.join(blocks) + "\n"
        words = re.compile(r"\{(\w+\.\d+)#(\d+)\}")
        text = words.sub(lambda match: self._reference(numbers[f"{{{match[1]}}}"], int(match[2]), column), text)
        text = re.sub(r"\{\w+\.\d+\}", lambda match: numbers[match[0]], text)
        return text.replace("{portal_kk}", self.portal[0]).replace("{portal_ru}", self.portal[1])

    def _label(self, number: int, section: int, place: int, column: int) -> str:
        if self.items == "1)":
            return f"{number})"
        if self.items == "1.1.1":
            return f"{section}.{place}.{number}{self.dot}"
        return f"{(KAZAKH, RUSSIAN)[column][number - 1]})"

    def _reference(self, clause: str, item: int, column: int) -> str:
        if self.items == "1.1.1":
            return (f"{clause}.{item}-тармақшасы", f"подпункта {clause}.{item}")[column]
        label = f"{item})" if self.items == "1)" else f"{(KAZAKH, RUSSIAN)[column][item - 1]})"
        return (f"{clause}-тармақтың {label} тармақшасы", f"подпункта {label} пункта {clause}")[column]


TABLE = (
    "| Қызмет | Мерзім |\n|---|---|\n| Анықтама беру | 1 күн |\n| Шағымды қарау | 15 күн |",
    "| Услуга | Срок |\n|---|---|\n| Выдача справки | 1 день |\n| Рассмотрение жалобы | 15 дней |",
)
NOTE = (
    "Ескерту. Байланыс мекенжайы: <help@example.kz>, сайты: <https://example.kz>.",
    "Примечание. Адрес для связи: <help@example.kz>, сайт: <https://example.kz>.",
)
PREAMBLE = (
    "Бұл құжат – жария оферта. Оны оқып шығыңыз: Порталды пайдалану оның шарттарын қабылдағаныңызды білдіреді.",
    "Этот документ – публичная оферта. Прочтите его: пользование Порталом означает принятие его условий.",
)
WRAPPED = (
    (
        "Осы құжатта көрсетілген мерзімдер\nжұмыс күндерімен есептеледі, ал 2026\n"
        "жылғы 1 наурыздан бастап\n1.5 есе қысқартылады."
    ),
    "Указанные в этом документе сроки\nисчисляются в рабочих днях, а с 1 марта\n2026 года сокращаются в\n1.5 раза.",
)
LINKS = (
    "Толығырақ [анықтамада](https://example.kz/help) айтылған:\n\n3. бірінші бет;\n5. екінші бет.",
    "Подробнее сказано в [справке](https://example.kz/help):\n\n3. первая страница;\n5. вторая страница.",
)
INTRO = ("Бұл бөлім барлық Пайдаланушыға арналған.", "Этот раздел касается каждого Пользователя.")
APPENDIX = (
    """Келісімге 1-қосымша

1.1. Анықтама беру мерзімі – бір күн.

1.2. Тариф 1.1-тармақта көрсетілген мерзімге байланысты емес:

1) мектептер үшін;

2) кітапханалар үшін.

2-ҚОСЫМША

1.1. Өтініш еркін түрде жазылады.""",
    """Приложение 1 к Соглашению

1.1. Срок выдачи справки – один день.

1.2. Тариф не зависит от срока, указанного в пункте 1.1:

1) для школ;

2) для библиотек.

ПРИЛОЖЕНИЕ 2

1.1. Заявление пишется в свободной форме.""",
)
NUMBERS = (
    """Кешіктірілген әр күн үшін өсімпұл мөлшері
2.5 АЕК құрайды, ал 01.02.2026
бастап
1.5 есе азаяды. Деректер TLS
1.2. хаттамасынан төмен емес арнамен, 192.168.0.1
мекенжайынан беріледі.""",
    """За каждый день просрочки пеня составляет
2.5 МРП, а с 01.02.2026
уменьшается в
1.5 раза. Данные передаются по протоколу TLS
1.2. Не ниже. С адреса
192.168.0.1 их принимает сервер.""",
)
LAWS = (
    """Заңның 8-бабының 9.1-тармағына, Қағидалардың 9.2 және 9.3-тармақтарына, Қағидаларға 1-қосымшаның 9.4-тармағына
және Заңның (бұдан әрі – Заң) 9.5-тармағына сәйкес құқықтар сақталады.""",
    """Сохраняются права по пункту 9.1 статьи 8 Закона, пунктам 9.2 и 9.3 утверждённых Правил, пункту 9.4
приложения 1 к Правилам, п. 9.5 Порядка и п. 9.6 ст. 8 Закона.""",
)

ALL = (
    Agreement(
        "library", ("«Ашық сөре» кітапханасын", "библиотекой «Ашық сөре»"), "general access materials data final"
    ),
    Agreement("shop", ("«Дүкен.kz» дүкенін", "магазином «Дүкен.kz»"), "general access payment data liability final"),
    Agreement(
        "courses", ("«Білім» курстар алаңын", "площадкой курсов «Білім»"), "general duties materials data", items="а)"
    ),
    Agreement(
        "clinic", ("дәрігерге жазылу қызметін", "службой записи к врачу"), "general access data security final", dot=""
    ),
    Agreement(
        "tickets",
        ("билет сату қызметін", "службой продажи билетов"),
        "general payment liability",
        between="\n",
        heading="",
    ),
    Agreement(
        "museum", ("«Мұра» музейінің сайтын", "сайтом музея «Мұра»"), "general materials liability", capitals=False
    ),
    Agreement(
        "parking", ("тұрақ қосымшасын", "приложением парковок"), "general access payment security", items="1.1.1"
    ),
    Agreement("theatre", ("театр афишасын", "афишей театра"), "general materials payment final", preamble=PREAMBLE),
    Agreement("grants", ("гранттар порталын", "порталом грантов"), "general duties data security", tail=TABLE),
    Agreement("weather", ("ауа райы қызметін", "службой погоды"), "general security liability", tail=NOTE),
    Agreement("forum", ("«Пікір» форумын", "форумом «Пікір»"), "general duties liability final", items="1.1.1", dot=""),
    Agreement("taxi", ("такси шақыру қызметін", "службой вызова такси"), "general access duties payment data final"),
    Agreement(
        "archive", ("цифрлық мұрағатты", "цифровым архивом"), "general materials data security", preamble=WRAPPED
    ),
    Agreement(
        "school",
        ("мектеп күнделігін", "школьным дневником"),
        "general duties data",
        between="\n",
        heading="",
        items="а)",
    ),
    Agreement("bank", ("интернет-банкті", "интернет-банком"), "general access payment data security liability final"),
    Agreement("news", ("жаңалықтар порталын", "порталом новостей"), "general materials final", capitals=False, dot=""),
    Agreement(
        "postal", ("пошта кабинетін", "почтовым кабинетом"), "general access data liability", capitals=False, heading=""
    ),
    Agreement("maps", ("карта қызметін", "службой карт"), "general materials security data final", tail=NOTE, dot=""),
    Agreement(
        "jobs", ("жұмыс іздеу порталын", "порталом поиска работы"), "general access duties data final", heading="### "
    ),
    Agreement(
        "energy",
        ("жарық төлеу кабинетін", "кабинетом оплаты света"),
        "general payment data final",
        tail=TABLE,
        preamble=PREAMBLE,
    ),
    Agreement("gallery", ("галереяның сайтын", "сайтом галереи"), "general materials liability", tail=LINKS),
    Agreement(
        "registry",
        ("тізілімді", "реестром"),
        "general data liability",
        between="\n",
        heading="",
        ends=(";", ","),
    ),
    Agreement(
        "notary", ("нотариус кабинетін", "кабинетом нотариуса"), "general data security", tail=LAWS, ends=("", " и")
    ),
    Agreement("stadium", ("стадион сайтын", "сайтом стадиона"), "general access payment", bold=True, between="\n"),
    Agreement(
        "court", ("сот кабинетін", "кабинетом суда"), "general duties data", capitals=False, heading="", intro=INTRO
    ),
    Agreement("pool", ("бассейн сайтын", "сайтом бассейна"), "general payment liability", tail=APPENDIX),
    Agreement(
        "ferry",
        ("паром билеттерін", "билетами на паром"),
        "general payment security",
        tail=NUMBERS,
        between="\n",
        heading="",
    ),
)
