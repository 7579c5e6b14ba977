"""The businesses that come with the simulator: churn, pricing, credit, recommendations and triage.

Each has numbers that hang together, a category of about ten values, one of many, a flag, an hour of the day,
a count that includes another, some natural nulls, and one number without influence. Weights make the model
good but not perfect: of a positive and a negative request the right one scores higher nine times in ten.
"""

from __future__ import annotations

from rbnb.simulate.business import Business, Category, Number, Rule, zipf

__all__ = ["BUSINESSES"]

_CHURN = Business(
    name="churn",
    description="Says which subscribers are about to leave, so that somebody calls them.",
    owner="retention-ml",
    numbers=(
        Number("tenure_months", "lognormal", 3.0, 0.8, weight=-1.1, shared=0.45, decimals=1, unit="months"),
        Number("monthly_fee", "normal", 42.0, 11.0, weight=0.75, shared=0.3, daily=0.1, decimals=1, unit="EUR"),
        Number("data_used_gb", "lognormal", 2.4, 0.9, weight=-0.5, curve=0.2, shared=0.35, weekend=0.25, unit="GB"),
        Number(
            "days_since_login", "lognormal", 1.6, 0.9, weight=1.3, shared=-0.35, daily=-0.15, nulls=0.02, unit="days"
        ),
        Number("tickets_7d", "count", -0.6, 0.9, weight=0.6, unit="tickets"),
        Number("tickets_30d", "count", 0.1, 0.9, weight=0.3, over="tickets_7d", unit="tickets"),
        Number("discount_share", "bounded", -1.8, 0.8, weight=-0.4, unit="share"),
        Number("battery_level", "bounded", 0.3, 1.0, daily=0.3, unit="share"),
        Number("autopay", "flag", 0.1, weight=-0.6),
        Number("local_hour", "hour", 21, weight=0.15, unit="h"),
    ),
    categories=(
        Category(
            "plan",
            {"basic": 0.2, "plus": 0.18, "family": 0.14, "student": 0.12, "business": 0.1}
            | {"prepaid": 0.09, "unlimited": 0.07, "travel": 0.05, "kids": 0.03, "legacy": 0.02},
            {"prepaid": 1.3, "student": 0.7, "family": -0.9, "business": -0.6, "legacy": -0.8},
            night={"student": 2.0, "business": 0.5},
            weekend={"family": 1.5, "business": 0.4},
        ),
        Category("contact", {"app": 0.5, "web": 0.28, "phone": 0.14, "shop": 0.08}, {"phone": 0.6}, nulls=0.01),
        Category("postcode_area", zipf("P", 240)),
    ),
    intercept=-2.3,
    together=("tenure_months", "monthly_fee", 0.35),
    threshold=0.4,
    positive="call",
    negative="leave",
    versions=("2.3.0", "2.4.0", "2.5.0"),
    label_delay_hours=24,
    rules=(Rule("tickets", "tickets_7d <= tickets_30d", "the last 30 days include the last 7"),),
    monotone={"days_since_login": "increasing", "tickets_30d": "increasing"},
    invariant=("battery_level",),
)

_PRICING = Business(
    name="pricing",
    description="Says whether a quote will be accepted at list price, which decides the discount offered.",
    owner="pricing-ml",
    numbers=(
        Number("basket_value", "lognormal", 4.6, 0.8, weight=1.3, shared=0.4, daily=0.1, nulls=0.01, unit="EUR"),
        Number("competitor_price", "lognormal", 4.5, 0.7, weight=-1.0, shared=0.5, nulls=0.02, unit="EUR"),
        Number("visits_7d", "count", 0.8, 0.8, weight=0.6, unit="visits"),
        Number("visits_30d", "count", 1.2, 0.8, weight=0.3, over="visits_7d", unit="visits"),
        Number("stock_cover_days", "lognormal", 2.8, 0.7, weight=-0.7, unit="days"),
        Number("margin_share", "bounded", -0.9, 0.6, weight=-0.6, unit="share"),
        Number("delivery_km", "lognormal", 3.4, 1.0, weight=-0.5, shared=0.2, weekend=0.2, unit="km"),
        Number("page_load_s", "lognormal", 0.3, 0.4, daily=0.4, unit="s"),
        Number("returning", "flag", 0.2, weight=0.6),
        Number("local_hour", "hour", 20, weight=0.2, unit="h"),
    ),
    categories=(
        Category(
            "product_group",
            {"kitchen": 0.19, "garden": 0.16, "tools": 0.14, "lighting": 0.12, "bath": 0.1}
            | {"storage": 0.09, "paint": 0.08, "heating": 0.06, "flooring": 0.04, "outdoor": 0.02},
            {"garden": 0.7, "heating": -1.2, "tools": 0.6, "flooring": -0.9, "bath": -0.4},
            night={"kitchen": 1.5, "tools": 0.6},
            weekend={"garden": 1.8, "heating": 0.6},
        ),
        Category("device", {"phone": 0.56, "laptop": 0.34, "tablet": 0.1}, {"laptop": 0.4}, nulls=0.01),
        Category("supplier", zipf("S", 180)),
    ),
    intercept=-0.9,
    together=("basket_value", "competitor_price", -0.35),
    positive="list_price",
    negative="discount",
    versions=("5.1.0", "5.2.0", "5.3.0"),
    label_delay_hours=24,
    rules=(Rule("visits", "visits_7d <= visits_30d", "the last 30 days include the last 7"),),
    monotone={"margin_share": "decreasing"},
    invariant=("page_load_s",),
)

_CREDIT = Business(
    name="credit",
    description="Says how likely a consumer loan defaults within a year.",
    owner="credit-risk",
    numbers=(
        Number("income", "lognormal", 7.8, 0.5, weight=-1.74, shared=0.4, unit="EUR"),
        Number("loan_amount", "lognormal", 8.6, 0.8, weight=1.3, shared=0.4, unit="EUR"),
        Number("debt_share", "bounded", -0.8, 0.8, weight=2.46, shared=-0.25, unit="share"),
        Number("late_payments_6m", "count", -0.7, 0.9, weight=1.59, unit="payments"),
        Number("late_payments_24m", "count", -0.2, 0.9, weight=0.87, over="late_payments_6m", unit="payments"),
        Number("account_age_months", "lognormal", 4.0, 0.7, weight=-1.45, nulls=0.02, unit="months"),
        Number("balance_change", "normal", 0.0, 450.0, weight=-1.3, daily=0.1, decimals=0, unit="EUR"),
        Number("form_seconds", "lognormal", 5.0, 0.5, weekend=0.2, unit="s"),
        Number("has_guarantor", "flag", 1.2, weight=-1.01),
        Number("local_hour", "hour", 2, weight=0.29, unit="h"),
    ),
    categories=(
        Category(
            "purpose",
            {"car": 0.24, "home": 0.2, "furniture": 0.14, "debt": 0.12, "medical": 0.08}
            | {"education": 0.07, "travel": 0.06, "wedding": 0.04, "business": 0.03, "other": 0.02},
            {"debt": 1.7, "business": 1.4, "home": -1.2, "education": -0.7, "travel": 0.7},
            night={"debt": 1.5},
            weekend={"furniture": 1.5, "wedding": 1.4},
        ),
        Category(
            "employment", {"permanent": 0.62, "fixed_term": 0.2, "self": 0.13, "none": 0.05}, {"none": 1.9, "self": 0.6}
        ),
        Category("branch", zipf("B", 160), nulls=0.01),
    ),
    intercept=-5.6,
    together=("income", "loan_amount", -0.4),
    threshold=0.35,
    positive="refuse",
    negative="grant",
    versions=("4.1.0", "4.2.0", "4.3.0"),
    label_delay_hours=48,
    rules=(
        Rule(
            "late-payments", "late_payments_6m <= late_payments_24m", "the last two years include the last six months"
        ),
    ),
    monotone={"debt_share": "increasing", "late_payments_24m": "increasing"},
    invariant=("form_seconds",),
    criticality="critical",
    frameworks=("eu-ai-act", "nist-ai-rmf"),
)

_RECOMMEND = Business(
    name="recommend",
    description="Says whether a visitor opens the article that would be recommended.",
    owner="discovery-ml",
    numbers=(
        Number("dwell_s", "lognormal", 3.2, 0.9, weight=1.0, shared=0.4, daily=0.15, unit="s"),
        Number("article_age_h", "lognormal", 2.5, 1.0, weight=-0.9, unit="h"),
        Number("similarity", "bounded", 0.2, 0.9, weight=1.4, shared=0.3, decimals=3, unit="share"),
        Number("scroll_share", "bounded", 0.0, 0.8, weight=0.6, shared=0.4, nulls=0.06, unit="share"),
        Number("clicks_24h", "count", 0.4, 0.9, weight=0.6, weekend=0.2, unit="clicks"),
        Number("clicks_7d", "count", 1.1, 0.9, weight=0.4, over="clicks_24h", unit="clicks"),
        Number("affinity", "normal", 0.0, 1.0, weight=0.8, shared=0.2, nulls=0.05),
        Number("screen_width", "normal", 1100.0, 340.0, daily=-0.3, decimals=0, unit="px"),
        Number("signed_in", "flag", -0.2, weight=0.5),
        Number("local_hour", "hour", 20, weight=0.2, unit="h"),
    ),
    categories=(
        Category(
            "topic",
            {"news": 0.22, "sport": 0.18, "culture": 0.13, "science": 0.11, "travel": 0.09}
            | {"food": 0.08, "finance": 0.07, "games": 0.06, "health": 0.04, "local": 0.02},
            {"sport": 0.9, "games": 1.1, "finance": -1.0, "culture": -0.6, "health": 0.5},
            night={"games": 2.2, "finance": 0.5},
            weekend={"sport": 1.5, "finance": 0.4, "travel": 1.5},
        ),
        Category("client", {"ios": 0.34, "android": 0.38, "web": 0.28}, {"web": -0.4}, weekend={"web": 0.7}),
        Category("author", zipf("A", 220)),
    ),
    intercept=-1.6,
    together=("similarity", "dwell_s", 0.35),
    positive="show",
    negative="skip",
    versions=("7.1.0", "7.2.0", "7.3.0"),
    label_delay_hours=6,
    rules=(Rule("clicks", "clicks_24h <= clicks_7d", "the last week includes the last day"),),
    monotone={"similarity": "increasing"},
    invariant=("screen_width",),
    repeated=0.15,
    criticality="low",
)

_TRIAGE = Business(
    name="triage",
    description="Says whether a support message is urgent, which decides who reads it first.",
    owner="support-ml",
    numbers=(
        Number("message_length", "lognormal", 5.2, 0.8, weight=0.6, daily=0.1, unit="characters"),
        Number("anger", "bounded", -1.0, 0.9, weight=1.5, shared=0.3, decimals=3, unit="share"),
        Number("account_value", "lognormal", 6.3, 1.0, weight=0.8, shared=0.35, unit="EUR"),
        Number("hours_waiting", "lognormal", 0.8, 0.9, weight=1.0, shared=0.25, weekend=0.35, nulls=0.02, unit="h"),
        Number("tickets_open", "count", 0.2, 0.8, weight=0.7, unit="tickets"),
        Number("tickets_total", "count", 1.0, 0.8, weight=-0.4, over="tickets_open", unit="tickets"),
        Number("sentiment", "normal", 0.0, 1.0, weight=-0.9, shared=-0.4, decimals=3),
        Number("signature_lines", "count", 1.0, 0.6, unit="lines"),
        Number("paying", "flag", -0.3, weight=0.5),
        Number("local_hour", "hour", 9, weight=0.25, unit="h"),
    ),
    categories=(
        Category(
            "topic",
            {"billing": 0.21, "login": 0.18, "delivery": 0.15, "refund": 0.12, "outage": 0.09}
            | {"feature": 0.08, "contract": 0.07, "privacy": 0.05, "spam": 0.03, "praise": 0.02},
            {"outage": 1.6, "privacy": 0.9, "spam": -2.0, "praise": -1.8, "feature": -0.9},
            night={"outage": 1.6, "contract": 0.6},
            weekend={"billing": 0.7, "delivery": 1.4},
        ),
        Category("language", {"en": 0.44, "de": 0.2, "fr": 0.16, "es": 0.13, "it": 0.07}, nulls=0.01),
        Category("product_code", zipf("X", 200)),
    ),
    intercept=-1.9,
    together=("anger", "account_value", 0.3),
    positive="urgent",
    negative="normal",
    versions=("1.3.0", "1.4.0", "1.5.0"),
    label_delay_hours=24,
    rules=(Rule("tickets", "tickets_open <= tickets_total", "open tickets are part of all tickets"),),
    monotone={"anger": "increasing", "hours_waiting": "increasing"},
    invariant=("signature_lines",),
)

#: The businesses by name.
BUSINESSES = {one.name: one for one in (_CHURN, _PRICING, _CREDIT, _RECOMMEND, _TRIAGE)}
