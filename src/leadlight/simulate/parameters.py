"""Every number that shapes the simulated community, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("none", "epiphany", "interest", "evaluation", "decision")
NONE, EPIPHANY, INTEREST, EVALUATION, DECISION, SETTLED = range(6)
"""Hidden states; SETTLED (has just bought) is reported as the stage "none"."""

ACTIONS = (
    "view", "search", "download", "join_group", "post", "question", "answer", "comment",
    "connect", "invite", "refer", "forward", "recommend", "profile_update",
)  # fmt: skip
TRAITS = ("ordinary", "talkative", "researcher", "customer", "employee", "quiet")
ORDINARY, TALKATIVE, RESEARCHER, CUSTOMER, EMPLOYEE, QUIET = range(6)
PROFILES = (*TRAITS, "epiphany", "interest", "evaluation", "decision", "quiet_buying", "project")
ROLES = ("prospect", "customer", "partner", "employee")
JOB_FUNCTIONS = ("engineering", "operations", "marketing", "finance", "purchasing", "management", "education")
PROFILE_FIELDS = ("job_title", "company", "phone", "photo", "interests")
WEEK_US = 7 * 86_400_000_000

Row = tuple[float, ...]


@dataclass(frozen=True)
class SimulationParameters:
    """The parameters of `simulate_community`; rates are per week unless a comment says otherwise.

    Set by hand, for orders of magnitude: with 20,000 members and 130 weeks some 5,300 accounts, nearly two million
    actions and 110 to 130 won accounts. ``docs/simulator.md`` says what each is and why, and the default values are
    frozen (`FROZEN_DIGEST`). Seeds 0 to 3 were used while they were set: judge models on other seeds.
    """

    # -- accounts and members -------------------------------------------------------------------------------
    account_member_share: float = 0.85  # members who work for a company that could be an account
    account_size_exponent: float = 1.75  # company has k members in the community with chance ~ k ** -exponent
    account_size_max: int = 30  # most members of one account
    account_free_mail_share: float = 0.04  # members of an account who registered with a private address
    host_share: float = 0.002  # members who are employees of the host
    customer_account_share: float = 0.08  # accounts that were customers before the log starts
    partner_account_share: float = 0.02  # accounts of resellers and agencies, who never buy
    intensity: Row = (0.0, 0.4, 1.0, 2.2)  # classes of accounts: multiplier of the rate at which need arises
    intensity_share: Row = (0.28, 0.32, 0.28, 0.12)  # share of each class among other accounts
    group_extra: float = 0.50  # chance that each of up to four colleagues belongs to the buying group too
    talkative_share: float = 0.05  # talkative people among members whose account never buys
    researcher_share: float = 0.25  # researchers and students among the same
    quiet_share: float = 0.35  # members of possible buyers who hardly ever write
    job_function_share: Row = (0.30, 0.20, 0.15, 0.08, 0.07, 0.12, 0.08)  # of JOB_FUNCTIONS
    refusal_share: float = 0.02  # members who refuse consent (null in the table)
    joined_before_share: float = 0.45  # members who had joined before the log starts
    joined_before_weeks: float = 104.0  # and how far back they may have joined
    join_on_need: float = 0.60  # chance that a buyer who is not here yet joins when interest begins
    job_change_rate: float = 0.0002  # chance that a member changes job function

    # -- buying stages of accounts --------------------------------------------------------------------------
    need_rate: float = 0.0110  # none to epiphany, before the intensity multiplier
    stage_weeks: Row = (4.0, 5.0, 6.0, 4.0)  # mean weeks in epiphany, interest, evaluation, decision
    stage_forward: Row = (0.50, 0.50, 0.78, 0.88)
    """Chance that a stage ends forwards; else the account drops out."""
    settled_weeks: float = 104.0  # mean weeks after a purchase before the account is open to need again
    sojourn_shape: float = 2.4  # markov=False: Weibull shape of the weeks in a stage
    stage_skip: float = 0.20  # markov=False: share of forward moves out of the first two that skip a stage
    age_cap: int = 80  # weeks in a stage after which the chance to leave stays constant
    burn_in_weeks: int = 104  # weeks for which stages move before the log starts
    truth_weeks: int = 54  # weeks for which stages move on after the log ends, so that horizons have an end

    # -- activity -----------------------------------------------------------------------------------------
    session_rate: float = 0.29  # median visits of an ordinary member
    session_spread: float = 0.8  # standard deviation of the logarithm of a member's own rate
    trait_rate: Row = (1.0, 2.2, 1.3, 1.1, 5.0, 0.6)  # multiplier of the visit rate, by TRAITS
    session_events: float = 3.2  # mean actions of a visit (geometric)
    session_gap_s: float = 140.0  # mean seconds between actions of a visit
    view_seconds: float = 55.0  # median seconds on a viewed page
    stage_rate: Row = (1.0, 1.25, 2.00, 3.50, 4.00)  # multiplier of a buyer's visits, by STAGES
    stage_weight: Row = (0.0, 0.20, 0.50, 0.71, 0.75)  # share of a buyer's actions that the stage drives
    stage_tag: Row = (0.0, 0.20, 0.35, 0.50, 0.50)  # chance that such an action carries a buying tag
    trait_tag: Row = (0.07, 0.08, 0.18, 0.12, 0.15, 0.07)  # the same for all other actions, by TRAITS
    late_tag: Row = (0.3, 0.1, 0.25, 0.55, 0.75)  # share of late buying tags among buying tags, by STAGES
    talk: tuple[float, float] = (1.0, 9.0)  # beta law of the share of a member's actions in talkative style
    newcomer_rate: float = 2.0  # multiplier of visits in the first four weeks after joining
    sleep_rate: float = 0.025  # an awake member goes dormant
    wake_rate: float = 0.05  # a dormant member comes back
    stage_wake: float = 0.30  # a dormant buyer comes back while the account is in interest or later
    dormant_rate: float = 0.04  # multiplier of visits while dormant
    project_start: float = 0.006  # a member starts a project that has nothing to do with buying
    project_weeks: float = 5.0  # mean weeks of a project
    project_rate: float = 2.5  # multiplier of visits during a project
    project_weight: float = 0.60  # share of actions that the project drives
    launches_per_year: float = 1.3  # product launches: a week of noise
    launch_rate: float = 1.8  # multiplier of all visits in a launch week
    launch_tag: float = 0.35  # chance that a tag of that week is the release tag
    growth: float = 0.30  # drift of the logarithm of all activity over the whole log
    season: float = 0.12  # amplitude of the yearly wave in the logarithm of activity
    action_drift: Row = (0.0, 0.2, 0.3, 0.0, -0.6, -0.2, -0.2, 0.0, 0.3, 0.0, 0.0, -0.3, 0.5, 0.0)
    """Drift of the logarithm of an action's popularity over the whole log, by ACTIONS."""
    late_log_share: float = 0.01  # actions known later than they occurred (a mean of half a day)
    mixes: tuple[Row, ...] = (
        # view search down. join  post quest. answ. comm. conn. invite refer forw. recom. profile
        (58.0, 12.0, 3.0, 1.5, 3.0, 3.0, 4.0, 7.0, 2.0, 0.4, 0.30, 1.2, 2.0, 0.6),  # ordinary
        (34.0, 6.0, 2.0, 2.0, 12.0, 6.0, 10.0, 17.0, 3.5, 1.0, 0.60, 3.5, 3.0, 0.4),  # talkative
        (52.0, 20.0, 12.0, 2.0, 1.5, 4.0, 0.5, 2.0, 2.0, 0.2, 0.20, 1.5, 0.7, 0.6),  # researcher
        (50.0, 14.0, 5.0, 1.0, 3.0, 9.0, 5.0, 7.0, 1.5, 0.5, 0.40, 1.0, 1.5, 0.5),  # customer
        (35.0, 6.0, 2.0, 1.0, 10.0, 2.0, 20.0, 14.0, 4.0, 2.0, 0.50, 1.5, 2.0, 0.3),  # employee
        (72.0, 17.0, 4.0, 0.8, 0.2, 0.4, 0.1, 0.4, 0.5, 0.1, 0.05, 1.0, 0.5, 0.4),  # quiet
        (60.0, 22.0, 3.0, 3.0, 1.5, 3.0, 0.5, 3.0, 1.5, 0.2, 0.20, 1.0, 0.5, 0.8),  # epiphany
        (52.0, 20.0, 7.0, 5.0, 1.5, 5.0, 0.5, 3.0, 2.5, 0.5, 0.30, 1.5, 1.0, 1.0),  # interest
        (45.0, 16.0, 10.0, 3.0, 1.0, 8.0, 0.5, 3.0, 4.5, 2.0, 0.50, 4.0, 1.0, 1.5),  # evaluation
        (46.0, 12.0, 9.0, 1.5, 0.7, 6.0, 0.5, 2.0, 5.0, 3.5, 0.80, 6.0, 1.0, 2.5),  # decision
        (58.0, 20.0, 9.0, 2.0, 0.2, 0.8, 0.1, 0.3, 2.0, 1.2, 0.20, 3.0, 0.5, 1.5),  # quiet_buying
        (45.0, 20.0, 9.0, 2.0, 2.0, 10.0, 1.0, 5.0, 2.0, 0.5, 0.30, 1.5, 1.0, 0.7),  # project
    )
    """Relative frequency of ACTIONS in each of PROFILES."""
    connect_customer: Row = (0.10, 0.12, 0.20, 0.35, 0.30)  # connections with customers, by STAGES
    connect_employee: Row = (0.05, 0.06, 0.10, 0.25, 0.40)  # connections with the host's employees, by STAGES
    own_domain: Row = (0.30, 0.30, 0.45, 0.65, 0.75)  # invitations and forwards to the own company, by STAGES
    group_share: float = 0.40  # posts, questions and comments that are made in a group

    # -- sales --------------------------------------------------------------------------------------------
    # view search down. join post quest. answ. comm. conn. invite refer forw. recom. profile
    points: Row = (0.2, 1.0, 4.0, 3.0, 4.0, 6.0, 2.0, 2.0, 3.0, 6.0, 6.0, 8.0, 2.0, 3.0)
    """Hand-set points for each of ACTIONS."""
    points_decay: float = 0.85  # factor on points each week
    points_cap: float = 120.0  # most points that a member can hold
    score_contacts: float = 0.0016  # approaches by points, as a share of all members
    random_contacts: float = 0.0002  # approaches drawn at random, as a share of all members
    member_rest_weeks: int = 26  # no second outbound approach of a member within
    account_rest_weeks: int = 6  # no second outbound approach of an account within
    inbound: Row = (0.0, 0.0, 0.0, 0.08, 0.18)  # chance that a buyer's question asks for sales, by STAGES
    reach_group: float = 0.60  # chance that an approach of a buying-group member is heard
    reach_other: float = 0.25  # the same for a colleague, who must pass it on
    approach_weeks: int = 8  # weeks for which an approach heard too early is remembered
    win: Row = (0.0, 0.0, 0.0, 0.80, 0.55)
    """Chance to win a buyer, by the stage in which the approach takes effect."""
    junk_deal: float = 0.035  # approaches of accounts that are not buying that become a deal, always lost
    lost_delay_weeks: float = 3.0  # mean weeks until sales admits that a deal is lost
    late_known_share: float = 0.25  # closed deals entered into the CRM late
    late_known_days: float = 6.0  # and by how many days in the mean
    role_delay_weeks: int = 1  # Mondays after a win until the colleagues have the role customer
    amount_median: float = 18_000.0  # median amount of a deal with an account of one member
    amount_spread: float = 0.7  # standard deviation of its logarithm
    deal_key: Row = (0.74, 0.14, 0.05, 0.04, 0.03)
    """Deals keyed by e-mail, domain, e-mail with a typing error, private address, unknown address."""
    email_mess: Row = (0.25, 0.08, 0.08)  # e-mail keys with changed case, with spaces, with a plus tag
    crm_group_share: float = 0.50  # deals for which the CRM names the people whom sales dealt with
    crm_group_chance: float = 0.70  # chance that a colleague in the buying group is named on such a deal

    # -- vocabulary ---------------------------------------------------------------------------------------
    early_tags: tuple[str, ...] = (
        "comparison", "use-cases", "overview", "alternatives", "best-practices", "roi",
    )  # fmt: skip
    late_tags: tuple[str, ...] = ("pricing", "integration", "security", "migration", "contract", "references")
    topic_tags: tuple[str, ...] = (
        "release", "reporting", "dashboards", "api", "mobile", "search-engine", "email-templates", "workflow",
        "permissions", "import", "export", "performance", "backup", "webhooks", "forms", "calendar", "tasks",
        "notifications", "analytics", "sso", "spreadsheets", "charts", "automation", "scripting", "testing",
        "training", "onboarding", "translations", "accessibility", "design", "events", "careers",
        "show-and-tell", "off-topic", "feedback", "roadmap", "bugs", "installation", "upgrades", "plugins", "themes",
        "data-model", "queries", "machine-learning", "compliance", "case-studies", "community", "newsletter",
    )  # fmt: skip
    """Topics that have nothing to do with buying, most popular first; the first is used at launches."""
    pages_per_tag: int = 12  # library pages about each tag, viewed and downloaded by Zipf's law
    groups: tuple[str, ...] = (
        "newcomers", "developers", "administrators", "marketers", "beta", "api-users", "nordics",
        "southern-europe", "manufacturing", "retail", "health", "education", "public-sector", "finance-teams", "partners",
        "data-people", "designers", "women-in-tech", "power-users", "meetups",
    )  # fmt: skip
    """Groups that members join, most popular first."""
