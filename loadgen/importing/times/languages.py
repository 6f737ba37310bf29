# ruff: noqa: RUF001 - names in other alphabets
"""Names of months and days, as ``date`` prints them in glibc's locales: short / long / genitive.

Babel has them all, in 33 MB; these take ten kB.
"""

from __future__ import annotations

from typing import Final

MONTHS_OF: Final = {
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
    "fr_CA": (
        "jan/janvier fév/février mar/mars avr/avril mai jun/juin jui/juillet aoû/août "
        "sep/septembre oct/octobre nov/novembre déc/décembre"
    ),
    "hr": (
        "sij/siječnja/siječanj velj/veljače/veljača ožu/ožujka/ožujak tra/travnja/travanj "
        "svi/svibnja/svibanj lip/lipnja/lipanj srp/srpnja/srpanj kol/kolovoza/kolovoz "
        "ruj/rujna/rujan lis/listopada/listopad stu/studenoga/studeni "
        "pro/prosinca/prosinac"
    ),
    "sl": (
        "jan/januar feb/februar mar/marec apr/april maj jun/junij jul/julij avg/avgust "
        "sep/september okt/oktober nov/november dec/december"
    ),
    "sr": (
        "јан/јануар феб/фебруар мар/март апр/април мај јун јул авг/август сеп/септембар "
        "окт/октобар нов/новембар дец/децембар"
    ),
    "sr_latin": (
        "jan/januar feb/februar mar/mart apr/april maj jun jul avg/avgust sep/septembar "
        "okt/oktobar nov/novembar dec/decembar"
    ),
    "bs": (
        "jan/januar feb/februar mar/mart apr/april maj jun/juni jul/juli aug/august "
        "sep/septembar okt/oktobar nov/novembar dec/decembar"
    ),
    "bg": (
        "яну/януари фев/февруари мар/март апр/април май юни юли авг/август сеп/септември "
        "окт/октомври ное/ноември дек/декември"
    ),
    "mk": (
        "јан/јануари фев/февруари мар/март апр/април мај јун/јуни јул/јули авг/август "
        "сеп/септември окт/октомври ное/ноември дек/декември"
    ),
    "be": (
        "сту/студзеня/студзень лют/лютага/люты сак/сакавіка/сакавік "
        "кра/красавіка/красавік мая/май чэр/чэрвеня/чэрвень ліп/ліпеня/ліпень "
        "жні/жніўня/жнівень вер/верасня/верасень кас/кастрычніка/кастрычнік "
        "ліс/лістапада/лістапад сне/снежня/снежань"
    ),
    "et": (
        "jaan/jaanuar veebr/veebruar märts apr/aprill mai juuni juuli aug/august "
        "sept/september okt/oktoober nov/november dets/detsember"
    ),
    "lv": (
        "jan/janvāris feb/februāris mar/marts apr/aprīlis mai/maijs jūn/jūnijs jūl/jūlijs "
        "aug/augusts sep/septembris okt/oktobris nov/novembris dec/decembris"
    ),
    "lt": (
        "saus/sausio/sausis vas/vasario/vasaris kov/kovo/kovas bal/balandžio/balandis "
        "geg/gegužės/gegužė birž/birželio/birželis liep/liepos/liepa "
        "rugp/rugpjūčio/rugpjūtis rugs/rugsėjo/rugsėjis spal/spalio/spalis "
        "lapkr/lapkričio/lapkritis gruod/gruodžio/gruodis"
    ),
    "is": (
        "jan/janúar feb/febrúar mar/mars apr/apríl maí jún/júní júl/júlí ágú/ágúst "
        "sep/september okt/október nóv/nóvember des/desember"
    ),
    "af": (
        "jan/januarie feb/februarie mrt/maart apr/april mei jun/junie jul/julie "
        "aug/augustus sep/september okt/oktober nov/november des/desember"
    ),
    "eu": (
        "urt/urtarrila ots/otsaila mar/martxoa api/apirila mai/maiatza eka/ekaina "
        "uzt/uztaila abu/abuztua ira/iraila urr/urria aza/azaroa abe/abendua"
    ),
    "gl": (
        "xan/xaneiro feb/febreiro mar/marzo abr/abril mai/maio xuñ/xuño xul/xullo "
        "ago/agosto set/setembro out/outubro nov/novembro dec/decembro"
    ),
    "sq": (
        "jan/janar shk/shkurt mar/mars pri/prill maj qer/qershor kor/korrik gsh/gusht "
        "sht/shtator tet/tetor nën/nëntor dhj/dhjetor"
    ),
    "az": (
        "yan/yanvar fev/fevral mar/mart apr/aprel may i̇yn/iyun i̇yl/iyul avq/avqust "
        "sen/sentyabr okt/oktyabr noy/noyabr dek/dekabr"
    ),
    "ka": (
        "იან/იანვარი თებ/თებერვალი მარ/მარტი აპრ/აპრილი მაი/მაისი ივნ/ივნისი ივლ/ივლისი "
        "აგვ/აგვისტო სექ/სექტემბერი ოქტ/ოქტომბერი ნოე/ნოემბერი დეკ/დეკემბერი"
    ),
    "kk": (
        "қаң/қаңтар ақп/ақпан нау/наурыз сәу/сәуір мам/мамыр мау/маусым шіл/шілде "
        "там/тамыз қыр/қыркүйек қаз/қазан қар/қараша жел/желтоқсан"
    ),
    "ms": (
        "jan/januari feb/februari mac apr/april mei jun jul/julai ogos sep/september "
        "okt/oktober nov/november dis/disember"
    ),
    "th": (
        "ม.ค/มกราคม ก.พ/กุมภาพันธ์ มี.ค/มีนาคม เม.ย/เมษายน พ.ค/พฤษภาคม มิ.ย/มิถุนายน "
        "ก.ค/กรกฎาคม ส.ค/สิงหาคม ก.ย/กันยายน ต.ค/ตุลาคม พ.ย/พฤศจิกายน ธ.ค/ธันวาคม"
    ),
    "he": (
        "ינו/ינואר פבר/פברואר מרץ אפר/אפריל מאי יונ/יוני יול/יולי אוג/אוגוסט ספט/ספטמבר "
        "אוק/אוקטובר נוב/נובמבר דצמ/דצמבר"
    ),
    "ar": (
        "ينا/يناير فبر/فبراير مار/مارس أبر/أبريل ماي/مايو يون/يونيو يول/يوليو أغس/أغسطس "
        "سبت/سبتمبر أكت/أكتوبر نوف/نوفمبر ديس/ديسمبر"
    ),
    "fa": "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اكتبر نوامبر دسامبر",
    "hi": (
        "जन॰/जनवरी फ़र॰/फ़रवरी मार्च अप्रैल मई जून जुल॰/जुलाई अग॰/अगस्त सित॰/सितंबर "
        "अक्तू॰/अक्तूबर नव॰/नवंबर दिस॰/दिसंबर"
    ),
}
"""Of each language, January first."""

DAYS_OF: Final = {
    "en": ("sun/sunday mon/monday tue/tuesday wed/wednesday thu/thursday fri/friday sat/saturday"),
    "de": "so/sonntag mo/montag di/dienstag mi/mittwoch do/donnerstag fr/freitag sa/samstag",
    "fr": "dim/dimanche lun/lundi mar/mardi mer/mercredi jeu/jeudi ven/vendredi sam/samedi",
    "es": "dom/domingo lun/lunes mar/martes mié/miércoles jue/jueves vie/viernes sáb/sábado",
    "pt": "dom/domingo seg/segunda ter/terça qua/quarta qui/quinta sex/sexta sáb/sábado",
    "it": ("dom/domenica lun/lunedì mar/martedì mer/mercoledì gio/giovedì ven/venerdì sab/sabato"),
    "nl": "zo/zondag ma/maandag di/dinsdag wo/woensdag do/donderdag vr/vrijdag za/zaterdag",
    "pl": (
        "nie/niedziela pon/poniedziałek wto/wtorek śro/środa czw/czwartek pią/piątek sob/sobota"
    ),
    "ru": ("вс/воскресенье пн/понедельник вт/вторник ср/среда чт/четверг пт/пятница сб/суббота"),
    "uk": "нд/неділя пн/понеділок вт/вівторок ср/середа чт/четвер пт/п'ятниця сб/субота",
    "cs": "ne/neděle po/pondělí út/úterý st/středa čt/čtvrtek pá/pátek so/sobota",
    "sk": "ne/nedeľa po/pondelok ut/utorok st/streda št/štvrtok pi/piatok so/sobota",
    "sv": "sön/söndag mån/måndag tis/tisdag ons/onsdag tor/torsdag fre/fredag lör/lördag",
    "da": "søn/søndag man/mandag tir/tirsdag ons/onsdag tor/torsdag fre/fredag lør/lørdag",
    "nb": "sø/søndag ma/mandag ti/tirsdag on/onsdag to/torsdag fr/fredag lø/lørdag",
    "nn": "su/sundag må/måndag ty/tysdag on/onsdag to/torsdag fr/fredag la/laurdag",
    "fi": (
        "su/sunnuntai ma/maanantai ti/tiistai ke/keskiviikko to/torstai pe/perjantai la/lauantai"
    ),
    "hu": "v/vasárnap h/hétfő k/kedd sze/szerda cs/csütörtök p/péntek szo/szombat",
    "ro": "du/duminică lu/luni ma/marți mi/miercuri jo/joi vi/vineri sb/sâmbătă",
    "tr": ("paz/pazar pzt/pazartesi sal/salı çrş/çarşamba prş/perşembe cum/cuma cts/cumartesi"),
    "el": ("κυρ/κυριακή δευ/δευτέρα τρι/τρίτη τετ/τετάρτη πεμ/πέμπτη παρ/παρασκευή σαβ/σάββατο"),
    "ca": "dg/diumenge dl/dilluns dt/dimarts dc/dimecres dj/dijous dv/divendres ds/dissabte",
    "id": "min/minggu sen/senin sel/selasa rab/rabu kam/kamis jum/jumat sab/sabtu",
    "zh": "日/星期日 一/星期一 二/星期二 三/星期三 四/星期四 五/星期五 六/星期六",
    "ja": "日/日曜日 月/月曜日 火/火曜日 水/水曜日 木/木曜日 金/金曜日 土/土曜日",
    "ko": "일/일요일 월/월요일 화/화요일 수/수요일 목/목요일 금/금요일 토/토요일",
    "hr": ("ned/nedjelja pon/ponedjeljak uto/utorak sri/srijeda čet/četvrtak pet/petak sub/subota"),
    "sl": "ned/nedelja pon/ponedeljek tor/torek sre/sreda čet/četrtek pet/petek sob/sobota",
    "sr": "нед/недеља пон/понедељак уто/уторак сре/среда чет/четвртак пет/петак суб/субота",
    "sr_latin": (
        "ned/nedelja pon/ponedeljak uto/utorak sre/sreda čet/četvrtak pet/petak sub/subota"
    ),
    "bg": "нд/неделя пн/понеделник вт/вторник ср/сряда чт/четвъртък пт/петък сб/събота",
    "mk": ("нед/недела пон/понеделник вто/вторник сре/среда чет/четврток пет/петок саб/сабота"),
    "be": ("няд/нядзеля пан/панядзелак аўт/аўторак срд/серада чцв/чацвер пят/пятніца суб/субота"),
    "et": "p/pühapäev e/esmaspäev t/teisipäev k/kolmapäev n/neljapäev r/reede l/laupäev",
    "lv": (
        "sv/svētdiena p/pirmdiena o/otrdiena t/trešdiena c/ceturtdiena pk/piektdiena s/sestdiena"
    ),
    "lt": (
        "sk/sekmadienis pr/pirmadienis an/antradienis tr/trečiadienis kt/ketvirtadienis "
        "pn/penktadienis št/šeštadienis"
    ),
    "is": (
        "sun/sunnudagur mán/mánudagur þri/þriðjudagur mið/miðvikudagur fim/fimmtudagur "
        "fös/föstudagur lau/laugardagur"
    ),
    "af": "so/sondag ma/maandag di/dinsdag wo/woensdag do/donderdag vr/vrydag sa/saterdag",
    "eu": (
        "ig/igandea al/astelehena ar/asteartea az/asteazkena og/osteguna or/ostirala lr/larunbata"
    ),
    "gl": "dom/domingo lun/luns mar/martes mér/mércores xov/xoves ven/venres sáb/sábado",
    "sq": ("die/e_diel hën/e_hënë mar/e_martë mër/e_mërkurë enj/e_enjte pre/e_premte sht/e_shtunë"),
    "az": (
        "baz/bazar_günü ber/bazar_ertəsi çax/çərşənbə_axşamı çər/çərşənbə cax/cümə_axşamı "
        "cüm/cümə şnb/şənbə"
    ),
    "ka": (
        "კვი/კვირა ორშ/ორშაბათი სამ/სამშაბათი ოთხ/ოთხშაბათი ხუთ/ხუთშაბათი პარ/პარასკევი შაბ/შაბათი"
    ),
    "kk": "жк/жексенбі дс/дүйсенбі сс/сейсенбі ср/сәрсенбі бс/бейсенбі жм/жұма сб/сенбі",
    "ms": "ahd/ahad isn/isnin sel/selasa rab/rabu kha/khamis jum/jumaat sab/sabtu",
    "th": "อา/อาทิตย์ จ/จันทร์ อ/อังคาร พ/พุธ พฤ/พฤหัสบดี ศ/ศุกร์ ส/เสาร์",
    "he": "א'/ראשון ב'/שני ג'/שלישי ד'/רביעי ה'/חמישי ו'/שישי ש'/שבת",
    "ar": "ح/الأحد ن/الاثنين ث/الثلاثاء ر/الأربعاء خ/الخميس ج/الجمعة س/السبت",
    "fa": "یکشنبه دوشنبه سه‌شنبه چهارشنبه پنجشنبه جمعه شنبه",
    "hi": ("रवि/रविवार सोम/सोमवार मंगल/मंगलवार बुध/बुधवार गुरु/गुरुवार शुक्र/शुक्रवार शनि/शनिवार"),
}
"""Of each language, Sunday first; ``_`` stands in names of several words."""
