# The texts of recommendations, in English. A message has the id of its rule, with hyphens; its value is what was
# found, its attribute `advice` what to do. Variables are the names of evidence kinds in
# src/kpi/recommendation.rs, each already in the language's form; `$subject` is whom it is about, `$topic` what
# else. A variable that is absent is handed over as "none": select on it. Beside these there are `$window_end`, the last
# day of the first figure; `$best_channel`; `$pays`, whether a channel brings what it costs (yes or no); and of a
# strategy `$kpi` and `$those`, whom it is judged on.
#
# A new language is one file beside this one, named by its tag.

money = { $currency } { $number }
points = { $number } pp
percent = { $number } %
company = The company
no-stage = no stage
media-paid = paid media
media-earned = earned media
media-owned = owned media

size-grow = { $subject } sells larger deals: the monthly average rose from { $average_deal_size_before } to { $average_deal_size }, by { $slope_per_month } a month.
    .advice = Keep on, and reward it.

size-falling = { $subject } sells smaller deals: the monthly average fell from { $average_deal_size_before } to { $average_deal_size }, by { $slope_per_month } a month.
    .advice = Sell the company's value and what only we offer; find out what troubles these customers.

count-hollow = { $subject } won { $won_count } deals after { $won_count_before }, but they are worth less: { $won_amount } after { $won_amount_before }.
    .advice = What deals are worth matters more than how many they are: qualify for larger ones.

pipeline-thin = { $subject }: the open deals cover what remains of target { $topic } only { $coverage } times; { $target_amount ->
        [none] { $remaining_count } deals of { $target_count } remain
       *[other] { $remaining_amount } of { $target_amount } remain
    }.
    .advice = { $deals_to_open ->
        [none] Open more opportunities that close before the target's end.
       *[other] Opportunities to open that close before its end: { $deals_to_open }. So many are missing at a win rate of { $win_rate } and the present size.
    }

pipeline-expiring = { $subject }: open deals whose protection ends by { $window_end }: { $expiring_count }, worth { $expiring_amount }, or { $expiring_weighted } by how likely they are.
    .advice = Act on them in the order listed, before a competitor does.

pipeline-behind = { $subject } will probably miss target { $topic }: { $target_amount ->
        [none] of { $target_count } deals { $landing_count } are likely, { $landing_upper_count } at best, so { $short_count } are missing
       *[other] of { $target_amount } { $landing_amount } are likely, { $landing_upper_amount } at best, so { $short_amount } are missing
    }.
    .advice = { $moved_lost ->
        [none] Nothing was lost, expired or reduced within a month, the pipeline holds too little: settle what is within reach, and agree on what is realistic.
       *[other] Within a month { $moved_lost } were lost, { $moved_expired } expired and open deals shrank by { $moved_decreased }: see what can be won back, and settle what is within reach.
    }

channel-stop = { $pays ->
        [no] { $topic }: { $spend } brought only { $won_amount }, a return of { $return_on_investment }; of { $lead_count } leads { $close_rate } purchased.
       *[yes] { $topic }: of { $lead_count } leads { $close_rate } purchased, of those of earned and owned media { $others_close_rate }{ $spend ->
            [none] .
           *[other] ; { $spend } were spent.
        }
    }
    .advice = { $best_channel ->
        [none] Stop further investment.
       *[other] Stop further investment; what it sets free does most in { $best_channel }.
    }

channel-earned_weak = Leads of earned media close at { $close_rate }, those of the others at { $others_close_rate }.
    .advice = Work on the relations with third parties who speak of us.

channel-owned_weak = Leads of owned media close at { $close_rate }, those of the others at { $others_close_rate }.
    .advice = Work on our own site and content.

channel-invest = { $topic } has the best return of all channels, { $return_on_investment }: { $spend } brought { $won_amount } from { $lead_count } leads.
    .advice = Move budget here.

close-falling = { $subject } closes { $close_rate } of { $prospect_count } prospects, a year before { $close_rate_year_before } of { $prospect_count_year_before }: the same season, so it isn't the season.
    .advice = Coach: follow some of these prospects from the first contact to their loss.

close-rising = { $subject } closes { $close_rate } of { $prospect_count } prospects, a year before { $close_rate_year_before } of { $prospect_count_year_before }: the same season, so it isn't the season.
    .advice = Find out what works, and tell the others.

velocity-slow_stage = { $subject }: deals spend { $stage_days } days in stage “{ $topic }”, those of its peers { $peers_stage_days }.
    .advice = { $velocity_to_win ->
        [none] This stage costs the time: find out what deals wait for.
       *[other] This stage costs the time: at the peers' pace each day would bring { $velocity_to_win } more.
    }

value-lead = { $subject } is among the best: value score { $value_score }, rank { $value_rank } of { $peer_count }.
    .advice = Plan the next year together.

value-lag = { $subject } is among the last: value score { $value_score }, rank { $value_rank } of { $peer_count }.
    .advice = Review the plan together.

success-strong = { $subject } wins { $deal_success } of { $ended_count } ended deals, its peers { $peers_deal_success }.
    .advice = Send more leads here.

success-weak = { $subject } wins { $deal_success } of { $ended_count } ended deals, its peers { $peers_deal_success }.
    .advice = Enable and train.

success-replace = { $subject } wins { $deal_success } of { $ended_count } ended deals, at best { $deal_success_upper }, and won { $deal_success_before } in the window before; its peers win { $peers_deal_success }.
    .advice = Many opportunities are missed here: look for a replacement.

strategy-works = “{ $topic }” works: { $kpi } of the { $treated_count } { $those } whom it is for changed by { $effect } more than of { $other_count } others ({ $effect_lower } to { $effect_upper }).
    .advice = Roll it out.

strategy-fails = “{ $topic }” fails: { $kpi } of the { $treated_count } { $those } whom it is for changed by { $effect } against { $other_count } others ({ $effect_lower } to { $effect_upper }).
    .advice = Roll it back.

kpi-average_deal_size = the average deal size
kpi-deal_count = the deal count
kpi-close_rate = the close rate
kpi-deal_velocity = the deal velocity
kpi-value_score = the value score
kpi-deal_success = the deal success
kpi-opportunity_pipeline = the opportunity pipeline
kpi-marketing_channel = the return on marketing

those-partners = partners
those-employees = employees
those-units = units
