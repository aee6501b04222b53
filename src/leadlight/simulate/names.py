"""Invented words for e-mail addresses, companies, groups and tags; every domain ends in ``.example``."""

from __future__ import annotations

FREE_MAIL = ("freemail.example",)
HOST_DOMAIN = "harbourlight.example"


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words(
    "ada bela cato dario edda farid gita hana ivo jonna kees lumi mira nils odile pavel quinn rosa samir "
    "tove ulla vera wanda xenia yusuf zora alma bruno chidi dunja emre fiona goran helmi ines jarek katya "
    "leif maia noor otto petra rahel silvio teodor usha vito wim"
)
LAST_NAMES = _words(
    "abelson birkvale corrin dunmoor eastlake fenwright garrow hollin isherby jarnov kestrel lindqvar "
    "marlowe norrin oakhurst pellarin quarles rivendale sorrel tamsin ulverton varga westerby yarrow "
    "zeller amberly brannock calloway draven elmstead fairlock grisham havelin ironside juniper kilmore "
    "larkin merrow nettle orrin pembrook ravel stoker thistle underhay vellacott winslade yelland "
    "ashgrove bellweather copperfall dovecote emberley foxglove gravelle hawkmoor ivorson jessamy "
    "kirkwall"
)
COMPANY_HEADS = _words(
    "alder amber arrow aspen beacon birch blue bramble bright cedar clear cobalt copper coral crane delta "
    "dune eagle east elm ember falcon fern field flint fox frost gale garnet glen gold granite green "
    "grove hazel heron hill holly iron ivory jade juniper keel kite lake lark lime linden lotus lunar "
    "maple marsh meadow mill mist moss north oak onyx opal orchid otter pearl pine quartz quill raven "
    "reed ridge river rowan ruby sable sage silver slate snow spruce star stone summit sun swift thorn "
    "tide timber vale violet wave willow wind wolf"
)
COMPANY_TAILS = _words(
    "works labs foods freight tools media health logistics textiles energy mills paper glass motors "
    "systems supply partners trading robotics optics dental seeds marine rail studio bricks brew print "
    "furniture cloud metals parcel insurance clinics schools aero pumps tiles cables sensors farms hotels "
    "games toys books audio garden sports travel security packing coatings bakery software timber power "
    "water finance legal design"
)
PROFILE_VALUES = {
    "job_title": ("team lead", "head of operations", "analyst", "director", "engineer"),
    "company": ("(company name)",),
    "phone": ("(number given)",),
    "photo": ("(picture added)",),
    "interests": ("integrations", "reporting", "automation", "events"),
}


def company_domains(count: int, order: list[int]) -> list[str]:
    """Return `count` distinct invented company domains; `order` permutes the plain two-word names."""
    plain = len(COMPANY_HEADS) * len(COMPANY_TAILS)
    found = []
    for i in range(count):
        lap, place = divmod(i, plain)
        head, tail = divmod(order[place], len(COMPANY_TAILS))
        number = "" if lap == 0 else str(lap + 1)
        found.append(f"{COMPANY_HEADS[head]}{COMPANY_TAILS[tail]}{number}.example")
    return found


def plain_name_count() -> int:
    """Return how many two-word company names exist before numbers are appended."""
    return len(COMPANY_HEADS) * len(COMPANY_TAILS)
