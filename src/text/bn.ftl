# পরামর্শের লেখা, বাংলায়। How messages and variables are named: en.ftl says.

money = { $number } { $currency }
points = { $number } শতাংশ-বিন্দু
percent = { $number }%
company = কোম্পানি
no-stage = ধাপহীন
media-paid = পেইড মিডিয়া
media-earned = আর্নড মিডিয়া
media-owned = নিজস্ব মিডিয়া

size-grow = { $subject } আগের চেয়ে বড় ডিল বিক্রি করছে: মাসিক গড় { $average_deal_size_before } থেকে বেড়ে { $average_deal_size } হয়েছে, মাসে { $slope_per_month } করে।
    .advice = এভাবেই চালিয়ে যান, এবং পুরস্কৃত করুন।

size-falling = { $subject } আগের চেয়ে ছোট ডিল বিক্রি করছে: মাসিক গড় { $average_deal_size_before } থেকে কমে { $average_deal_size } হয়েছে, মাসে { $slope_per_month } করে।
    .advice = কোম্পানি কী বাড়তি মূল্য ও অনন্য সুবিধা দেয়, তা তুলে ধরুন; এই গ্রাহকদের সমস্যা কোথায়, তা জানুন।

count-hollow = { $subject } { $won_count_before }টির পর { $won_count }টি ডিল জিতেছে, কিন্তু মোট মূল্য কমেছে: আগে { $won_amount_before }, এখন { $won_amount }।
    .advice = সংখ্যার চেয়ে মূল্য বেশি গুরুত্বপূর্ণ: বড় ডিল বাছাই করুন।

pipeline-thin = { $subject }: খোলা ডিলগুলো লক্ষ্যমাত্রা { $topic }-এর অবশিষ্টের মাত্র { $coverage } গুণ: { $target_amount ->
        [none] { $target_count }টি ডিলের মধ্যে { $remaining_count }টি বাকি
       *[other] { $target_amount }-এর মধ্যে { $remaining_amount } বাকি
    }।
    .advice = { $deals_to_open ->
        [none] লক্ষ্যমাত্রার মেয়াদ শেষের আগেই ক্লোজ হবে এমন আরও সুযোগ খুলুন।
       *[other] মেয়াদ শেষের আগেই ক্লোজ হবে এমন আরও { $deals_to_open }টি সুযোগ খুলুন: জয়ের হার { $win_rate } ও বর্তমান আকার ধরলে এতগুলোরই ঘাটতি আছে।
    }

pipeline-expiring = { $subject }: { $expiring_count }টি খোলা ডিলের সুরক্ষা { $window_end }-এর মধ্যে শেষ হবে; মূল্য { $expiring_amount }, সম্ভাবনা ধরলে { $expiring_weighted }।
    .advice = প্রতিদ্বন্দ্বীর আগেই তালিকার ক্রম অনুসারে ব্যবস্থা নিন।

pipeline-behind = { $subject } সম্ভবত লক্ষ্যমাত্রা { $topic } পূরণ করতে পারবে না: { $target_amount ->
        [none] { $target_count }টি ডিলের মধ্যে সম্ভাব্য { $landing_count }টি, বড়জোর { $landing_upper_count }টি; ঘাটতি { $short_count }টি
       *[other] { $target_amount }-এর মধ্যে সম্ভাব্য { $landing_amount }, বড়জোর { $landing_upper_amount }; ঘাটতি { $short_amount }
    }।
    .advice = { $moved_lost ->
        [none] গত এক মাসে কিছুই হারায়নি, মেয়াদ ফুরায়নি বা কমেনি, পাইপলাইনে ডিলই কম: নাগালে যা আছে তা চূড়ান্ত করুন, আর বাস্তবসম্মত লক্ষ্যে একমত হোন।
       *[other] গত এক মাসে { $moved_lost } হারিয়ে গেছে, { $moved_expired }-এর মেয়াদ ফুরিয়েছে, আর খোলা ডিল কমেছে { $moved_decreased }: কী ফেরানো যায় দেখুন, আর নাগালে যা আছে তা চূড়ান্ত করুন।
    }

channel-stop = { $pays ->
        [no] { $topic }: { $spend } খরচে এসেছে মাত্র { $won_amount }, রিটার্ন { $return_on_investment }; { $lead_count }টি লিডের { $close_rate } ক্রেতা হয়েছে।
       *[yes] { $topic }: { $lead_count }টি লিডের { $close_rate } ক্রেতা হয়েছে, আর্নড ও নিজস্ব মিডিয়ার ক্ষেত্রে { $others_close_rate }{ $spend ->
            [none] ।
           *[other] ; খরচ হয়েছে { $spend }।
        }
    }
    .advice = { $best_channel ->
        [none] আর বিনিয়োগ করবেন না।
       *[other] আর বিনিয়োগ করবেন না; এতে যা বাঁচবে তা { $best_channel }-এ সবচেয়ে বেশি কাজে লাগবে।
    }

channel-earned_weak = আর্নড মিডিয়ার লিডের ক্লোজ রেট { $close_rate }, অন্যগুলোর { $others_close_rate }।
    .advice = আমাদের কথা যারা বলে, সেই তৃতীয় পক্ষের সঙ্গে সম্পর্ক উন্নত করুন।

channel-owned_weak = নিজস্ব মিডিয়ার লিডের ক্লোজ রেট { $close_rate }, অন্যগুলোর { $others_close_rate }।
    .advice = নিজেদের সাইট ও কনটেন্ট উন্নত করুন।

channel-invest = সব চ্যানেলের মধ্যে { $topic }-এর রিটার্ন সবচেয়ে ভালো, { $return_on_investment }: { $spend } খরচে { $lead_count }টি লিড থেকে এসেছে { $won_amount }।
    .advice = বাজেট এখানে সরান।

close-falling = { $subject } { $prospect_count } জন সম্ভাব্য ক্রেতার { $close_rate }-কে ক্রেতায় পরিণত করেছে, এক বছর আগে { $prospect_count_year_before } জনের { $close_rate_year_before }-কে: একই মৌসুম, তাই এটি মৌসুমের প্রভাব নয়।
    .advice = প্রশিক্ষণ দিন: কয়েকজন সম্ভাব্য ক্রেতাকে প্রথম যোগাযোগ থেকে হারানো পর্যন্ত অনুসরণ করুন।

close-rising = { $subject } { $prospect_count } জন সম্ভাব্য ক্রেতার { $close_rate }-কে ক্রেতায় পরিণত করেছে, এক বছর আগে { $prospect_count_year_before } জনের { $close_rate_year_before }-কে: একই মৌসুম, তাই এটি মৌসুমের প্রভাব নয়।
    .advice = কী কাজ করছে তা বের করুন, এবং অন্যদের জানান।

velocity-slow_stage = { $subject }: ডিলগুলো “{ $topic }” ধাপে { $stage_days } দিন থাকে, সমকক্ষদের { $peers_stage_days } দিন।
    .advice = { $velocity_to_win ->
        [none] এই ধাপেই সময় যাচ্ছে: ডিলগুলো কীসের অপেক্ষায় থাকে, তা বের করুন।
       *[other] এই ধাপেই সময় যাচ্ছে: সমকক্ষদের গতিতে প্রতিদিন আরও { $velocity_to_win } আসত।
    }

value-lead = { $subject } সেরাদের মধ্যে: ভ্যালু স্কোর { $value_score }, { $peer_count }টির মধ্যে { $value_rank } নম্বর।
    .advice = আগামী বছরের পরিকল্পনা একসঙ্গে করুন।

value-lag = { $subject } শেষের সারিতে: ভ্যালু স্কোর { $value_score }, { $peer_count }টির মধ্যে { $value_rank } নম্বর।
    .advice = পরিকল্পনাটি একসঙ্গে পর্যালোচনা করুন।

success-strong = { $subject } শেষ হওয়া { $ended_count }টি ডিলের { $deal_success } জিতেছে, সমকক্ষরা { $peers_deal_success }।
    .advice = এখানে আরও লিড পাঠান।

success-weak = { $subject } শেষ হওয়া { $ended_count }টি ডিলের { $deal_success } জিতেছে, সমকক্ষরা { $peers_deal_success }।
    .advice = সহায়তা ও প্রশিক্ষণ দিন।

success-replace = { $subject } শেষ হওয়া { $ended_count }টি ডিলের { $deal_success } জিতেছে, বড়জোর { $deal_success_upper }; আগের সময়ে { $deal_success_before }; সমকক্ষরা জেতে { $peers_deal_success }।
    .advice = এখানে অনেক সুযোগ হাতছাড়া হচ্ছে: বিকল্প খুঁজুন।

strategy-works = “{ $topic }” কাজ করছে: যে { $treated_count }টি { $those }-এর জন্য এটি, তাদের { $kpi } অন্য { $other_count }টির তুলনায় { $effect } বেশি বদলেছে ({ $effect_lower } থেকে { $effect_upper })।
    .advice = সবার জন্য চালু করুন।

strategy-fails = “{ $topic }” কাজ করছে না: যে { $treated_count }টি { $those }-এর জন্য এটি, তাদের { $kpi } অন্য { $other_count }টির তুলনায় { $effect } বদলেছে ({ $effect_lower } থেকে { $effect_upper })।
    .advice = আগের অবস্থায় ফিরে যান।

kpi-average_deal_size = গড় ডিলের আকার
kpi-deal_count = ডিলের সংখ্যা
kpi-close_rate = ক্লোজ রেট
kpi-deal_velocity = ডিলের গতি
kpi-value_score = ভ্যালু স্কোর
kpi-deal_success = ডিলের সাফল্য
kpi-opportunity_pipeline = সম্ভাব্য ডিলের পাইপলাইন
kpi-marketing_channel = মার্কেটিংয়ের রিটার্ন

those-partners = পার্টনার
those-employees = কর্মী
those-units = ইউনিট
