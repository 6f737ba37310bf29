# ruff: noqa: RUF001 - names in other alphabets
"""Names of months and days, as ``date`` prints them in glibc's locales: short / long / genitive.

Months of several languages never share a name for two different ones (a test holds that), so
nothing has to say which language a log is in. Babel has them all, in 33 MB; these take five kB.
"""

from __future__ import annotations

import unicodedata
from typing import Final

LANGUAGES: Final = {
    "en": (
        "jan/january feb/february mar/march apr/april may jun/june jul/july aug/august "
        "sep/september oct/october nov/november dec/december"
    ),
    "de": (
        "jan/januar feb/februar mär/märz apr/april mai jun/juni jul/juli aug/august sep/september "
        "okt/oktober nov/november dez/dezember"
    ),
    "de_AT": (
        "jän/jänner feb/februar mär/märz apr/april mai jun/juni jul/juli aug/august sep/september "
        "okt/oktober nov/november dez/dezember"
    ),
    "fr": (
        "janv/janvier févr/février mars avril mai juin juil/juillet août sept/septembre "
        "oct/octobre nov/novembre déc/décembre"
    ),
    "es": (
        "ene/enero feb/febrero mar/marzo abr/abril may/mayo jun/junio jul/julio ago/agosto "
        "sep/septiembre oct/octubre nov/noviembre dic/diciembre"
    ),
    "pt": (
        "jan/janeiro fev/fevereiro mar/março abr/abril mai/maio jun/junho jul/julho ago/agosto "
        "set/setembro out/outubro nov/novembro dez/dezembro"
    ),
    "it": (
        "gen/gennaio feb/febbraio mar/marzo apr/aprile mag/maggio giu/giugno lug/luglio "
        "ago/agosto set/settembre ott/ottobre nov/novembre dic/dicembre"
    ),
    "nl": (
        "jan/januari feb/februari mrt/maart apr/april mei jun/juni jul/juli aug/augustus "
        "sep/september okt/oktober nov/november dec/december"
    ),
    "pl": (
        "sty/stycznia/styczeń lut/lutego/luty mar/marca/marzec kwi/kwietnia/kwiecień maj/maja "
        "cze/czerwca/czerwiec lip/lipca/lipiec sie/sierpnia/sierpień wrz/września/wrzesień "
        "paź/października/październik lis/listopada/listopad gru/grudnia/grudzień"
    ),
    "ru": (
        "янв/января/январь фев/февраля/февраль мар/марта/март апр/апреля/апрель мая/май "
        "июн/июня/июнь июл/июля/июль авг/августа/август сен/сентября/сентябрь окт/октября/октябрь "
        "ноя/ноября/ноябрь дек/декабря/декабрь"
    ),
    "uk": (
        "січ/січня/січень лют/лютого/лютий бер/березня/березень кві/квітня/квітень "
        "тра/травня/травень чер/червня/червень лип/липня/липень сер/серпня/серпень "
        "вер/вересня/вересень жов/жовтня/жовтень лис/листопада/листопад гру/грудня/грудень"
    ),
    "cs": (
        "led/ledna/leden úno/února/únor bře/března/březen dub/dubna/duben kvě/května/květen "
        "čen/června/červen čec/července/červenec srp/srpna/srpen zář/září říj/října/říjen "
        "lis/listopadu/listopad pro/prosince/prosinec"
    ),
    "sk": (
        "jan/január feb/február mar/marec apr/apríl máj jún júl aug/august sep/september "
        "okt/október nov/november dec/december"
    ),
    "sv": (
        "jan/januari feb/februari mar/mars apr/april maj jun/juni jul/juli aug/augusti "
        "sep/september okt/oktober nov/november dec/december"
    ),
    "da": (
        "jan/januar feb/februar mar/marts apr/april maj jun/juni jul/juli aug/august "
        "sep/september okt/oktober nov/november dec/december"
    ),
    "nb": (
        "jan/januar feb/februar mars april mai juni juli aug/august sep/september okt/oktober "
        "nov/november des/desember"
    ),
    "fi": (
        "tammi/tammikuu/tammikuuta helmi/helmikuu/helmikuuta maalis/maaliskuu/maaliskuuta "
        "huhti/huhtikuu/huhtikuuta touko/toukokuu/toukokuuta kesä/kesäkuu/kesäkuuta "
        "heinä/heinäkuu/heinäkuuta elo/elokuu/elokuuta syys/syyskuu/syyskuuta "
        "loka/lokakuu/lokakuuta marras/marraskuu/marraskuuta joulu/joulukuu/joulukuuta"
    ),
    "zh": "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
    "hu": (
        "jan/január febr/február márc/március ápr/április máj/május jún/június júl/július "
        "aug/augusztus szept/szeptember okt/október nov/november dec/december"
    ),
    "ro": (
        "ian/ianuarie feb/februarie mar/martie apr/aprilie mai iun/iunie iul/iulie aug/august "
        "sep/septembrie oct/octombrie nov/noiembrie dec/decembrie"
    ),
    "tr": (
        "oca/ocak şub/şubat mar/mart nis/nisan may/mayıs haz/haziran tem/temmuz ağu/ağustos "
        "eyl/eylül eki/ekim kas/kasım ara/aralık"
    ),
    "el": (
        "ιαν/ιανουαρίου/ιανουάριος φεβ/φεβρουαρίου/φεβρουάριος μαρ/μάρ/μαρτίου/μάρτιος "
        "απρ/απριλίου/απρίλιος μαΐ/μάι/μαΐου/μάιος ιουν/ιούν/ιουνίου/ιούνιος "
        "ιουλ/ιούλ/ιουλίου/ιούλιος αυγ/αύγ/αυγούστου/αύγουστος σεπ/σεπτεμβρίου/σεπτέμβριος "
        "οκτ/οκτωβρίου/οκτώβριος νοε/νοέ/νοεμβρίου/νοέμβριος δεκ/δεκεμβρίου/δεκέμβριος"
    ),
    "ca": (
        "gen/gener febr/febrer març abr/abril maig juny jul/juliol ag/agost set/setembre "
        "oct/octubre nov/novembre des/desembre"
    ),
    "id": (
        "jan/januari feb/februari mar/maret apr/april mei jun/juni jul/juli agu/agustus "
        "sep/september okt/oktober nov/november des/desember"
    ),
}

_DAYS = (
    "sun mon tue wed thu fri sat sunday monday tuesday wednesday thursday friday saturday so "
    "mo di mi do fr sa sonntag montag dienstag mittwoch donnerstag freitag samstag dim lun "
    "mar mer jeu ven sam dimanche lundi mardi mercredi jeudi vendredi samedi dom mié jue vie "
    "sáb domingo lunes martes miércoles jueves viernes sábado seg ter qua qui sex segunda "
    "terça quarta quinta sexta gio sab domenica lunedì martedì mercoledì giovedì venerdì "
    "sabato zo ma wo vr za zondag maandag dinsdag woensdag donderdag vrijdag zaterdag nie pon "
    "wto śro czw pią sob niedziela poniedziałek wtorek środa czwartek piątek sobota вс пн вт "
    "ср чт пт сб воскресенье понедельник вторник среда четверг пятница суббота нд неділя "
    "понеділок вівторок середа четвер п'ятниця субота ne po út st čt pá neděle pondělí úterý "
    "středa čtvrtek pátek ut št pi nedeľa pondelok utorok streda štvrtok piatok sön mån tis "
    "ons tor fre lör söndag måndag tisdag onsdag torsdag fredag lördag søn man tir lør søndag "
    "mandag tirsdag lørdag sø ti on to lø su ke pe la sunnuntai maanantai tiistai keskiviikko "
    "torstai perjantai lauantai v h k sze cs p szo vasárnap hétfő kedd szerda csütörtök "
    "péntek szombat du lu jo vi sb duminică luni marți miercuri joi vineri sâmbătă paz pzt "
    "sal çrş prş cum cts pazar pazartesi salı çarşamba perşembe cuma cumartesi κυρ δευ τρι "
    "τετ πεμ παρ σαβ κυριακή δευτέρα τρίτη τετάρτη πέμπτη παρασκευή σάββατο dg dl dt dc dj dv "
    "ds diumenge dilluns dimarts dimecres dijous divendres dissabte min sen sel rab kam jum "
    "minggu senin selasa rabu kamis jumat sabtu"
)


def folded(word: str) -> str:
    """A name as it is looked up: in small letters, composed, without an abbreviation's dot."""
    small = unicodedata.normalize("NFC", word.casefold())
    return small.rstrip(".").removeprefix("d’").removeprefix("d'")


MONTHS: Final = {
    folded(name): number
    for months in LANGUAGES.values()
    for number, names in enumerate(months.split(), 1)
    for name in names.split("/")
}
"""The month of a folded name, from 1."""

DAYS: Final = frozenset(map(folded, _DAYS.split()))
"""Folded names of days of the week; some are months' in other languages (``mar``)."""

ENGLISH: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]

BEFORE_NOON: Final = frozenset(["am", "a.m", "πμ", "上午", "午前", "오전"])
AFTER_NOON: Final = frozenset(["pm", "p.m", "μμ", "下午", "午後", "오후"])
JOINTS: Final = frozenset(
    [
        "de",
        "del",
        "den",
        "of",
        "at",
        "um",
        "à",
        "a",
        "o",
        "г",
        "р",
        "kl",
        "klo",
        "às",
        "alle",
        "en",
        "the",
        "le",
        "el",
        "年",
        "月",
        "日",
        "公元",
        "西元",
        "公曆",
        "tháng",
        "năm",
        "t",
        "om",
        "в",
        "na",
    ]
)
"""What stands between a date's parts."""
