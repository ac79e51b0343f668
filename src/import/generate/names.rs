//! Names of people, companies and places, as a directory of partners around the world would have them. All of our own
//! making: a likeness to a real company is chance.

use std::collections::HashSet;

use super::random::Random;

/// How people and companies are called somewhere.
#[derive(Clone, Copy, Debug)]
pub(super) enum Culture {
    Bengali,
    Indian,
    German,
    French,
    English,
    Latin,
    Japanese,
}

/// The parts of which names are made.
struct Parts {
    given: &'static [&'static str],
    family: &'static [&'static str],
    stem: &'static [&'static str],
    trade: &'static [&'static str],
    form: &'static [&'static str],
    town: &'static [&'static str],
}

const BENGALI: Parts = Parts {
    given: &[
        "Nasrin",
        "Farhana",
        "Tanvir",
        "Rafiq",
        "Shirin",
        "Imran",
        "Sadia",
        "Mahmud",
        "Anika",
        "Kamal",
        "নুসরাত",
        "আরিফ",
        "তাসনিম",
    ],
    family: &["Akter", "Hossain", "Chowdhury", "Rahman", "Sultana", "Karim", "Das", "Begum", "ইসলাম", "সরকার"],
    stem: &[
        "Tista",
        "Kornofuli",
        "Shapla",
        "Doel",
        "Palash",
        "Krishnachura",
        "Ilish",
        "Sundori",
        "Bokul",
        "Madhobi",
        "শাপলা",
        "মেঘবতী",
        "কাশফুল",
        "জোনাকি",
    ],
    trade: &[
        "Datalink",
        "Softwares",
        "Office Solutions",
        "Networks",
        "তথ্যসেবা",
        "Ledger House",
        "IT Bazar",
        "Digital",
    ],
    form: &["Ltd.", "& Sons", "Enterprise", "লিমিটেড"],
    town: &["Dhaka", "Chattogram", "Khulna", "Sylhet", "Rajshahi"],
};
const INDIAN: Parts = Parts {
    given: &["Ananya", "Rohit", "Kavya", "Arjun", "Meera", "Vikram", "Lakshmi", "Sanjay", "Dilani", "Nuwan"],
    family: &["Iyer", "Mehta", "Reddy", "Banerjee", "Nair", "Kapoor", "Perera", "Fernando"],
    stem: &[
        "Neelgagan",
        "Mayurpath",
        "Chandan",
        "Saptarishi",
        "Kamalini",
        "Vayu",
        "Tarang",
        "Ashvattha",
        "Pushkar",
    ],
    trade: &["Infosystems", "Technologies", "Computing", "Business Systems", "Cloudworks", "Consultants"],
    form: &["Pvt. Ltd.", "LLP", "& Co."],
    town: &["Pune", "Kochi", "Jaipur", "Kolkata", "Kandy"],
};
const GERMAN: Parts = Parts {
    given: &["Katharina", "Jonas", "Friederike", "Lukas", "Annika", "Matthias", "Svenja", "Tobias", "Reto"],
    family: &["Hofmann", "Lindner", "Vogt", "Sauer", "Brandl", "Kessler", "Wyss", "Ahlers"],
    stem: &[
        "Ahornwerk",
        "Nordlicht",
        "Fuchsbau",
        "Steinquell",
        "Lindenhain",
        "Möwenstein",
        "Kupferberg",
        "Eisvogel",
    ],
    trade: &["Systemhaus", "Datentechnik", "Netzwerke", "Bürosysteme", "Softwarekontor", "IT-Beratung"],
    form: &["GmbH", "AG", "GmbH & Co. KG"],
    town: &["Bremen", "Kassel", "Graz", "Winterthur", "Leipzig"],
};
const FRENCH: Parts = Parts {
    given: &["Camille", "Étienne", "Margaux", "Thibault", "Sanne", "Pieter", "Léa", "Bram"],
    family: &["Delorme", "Marchal", "Vasseur", "Jansen", "de Wit", "Perrin", "Visser"],
    stem: &["Belle-Rive", "Hirondelle", "Chêne Vert", "Zeemeeuw", "Lavandière", "Waterlelie", "Mistral Bleu"],
    trade: &["Informatique", "Réseaux", "Conseil", "Logiciels", "Automatisering", "Gestion"],
    form: &["SARL", "SAS", "B.V.", "SA"],
    town: &["Lyon", "Nantes", "Utrecht", "Gent", "Lille"],
};
const ENGLISH: Parts = Parts {
    given: &["Harriet", "Callum", "Priya", "Owen", "Grace", "Desmond", "Fiona", "Marcus", "Keisha", "Liam"],
    family: &["Whitcombe", "Okafor", "Pemberton", "Ashdown", "Sinclair", "Holloway", "Tran", "McBride"],
    stem: &[
        "Kingfisher Lane",
        "Blue Heron",
        "Copperfield Row",
        "Juniper Hill",
        "Saltmarsh",
        "Maple Fork",
        "Redstart",
        "Lantern Bay",
        "Wattlebird",
        "Thistledown",
    ],
    trade: &["Ledgerworks", "Systems", "Consulting", "Managed IT", "Software", "Data Services", "Advisory"],
    form: &["Ltd", "LLC", "Inc.", "Pty Ltd", "Group"],
    town: &["Leeds", "Portland", "Halifax", "Adelaide", "Bristol"],
};
const LATIN: Parts = Parts {
    given: &["Beatriz", "Thiago", "Lucía", "Mateo", "Camila", "Rafael", "Inês", "Joaquín"],
    family: &["Moreira", "Salgado", "Quiroga", "Teixeira", "Valdés", "Figueroa"],
    stem: &["Beija-Flor", "Ipê Amarelo", "Colibrí", "Araucária", "Jacarandá", "Puente Claro", "Sabiá"],
    trade: &["Sistemas", "Soluções", "Informática", "Tecnología", "Redes", "Consultoría"],
    form: &["Ltda.", "S.A.", "S. de R.L."],
    town: &["Recife", "Curitiba", "Mérida", "Puebla", "Belém"],
};
const JAPANESE: Parts = Parts {
    given: &["Haruka", "Kenji", "Yuki", "Takumi", "Aiko", "Wei Ling", "Siti", "Daichi"],
    family: &["Morioka", "Sakuraba", "Tachibana", "Lim", "Kurosawa", "Abdullah", "Ishikawa"],
    stem: &[
        "Akatsuki",
        "Shirasagi",
        "Hinoki",
        "Kaminari",
        "Asagiri",
        "Merlion Bay",
        "Tsubame",
        "Orchid Quay",
    ],
    trade: &["Joho", "Data Systems", "Network Service", "Soft", "Integration", "Solutions"],
    form: &["K.K.", "Co., Ltd.", "Pte. Ltd."],
    town: &["Sendai", "Kobe", "Nagoya", "Penang", "Matsuyama"],
};

impl Culture {
    fn parts(self) -> &'static Parts {
        match self {
            Self::Bengali => &BENGALI,
            Self::Indian => &INDIAN,
            Self::German => &GERMAN,
            Self::French => &FRENCH,
            Self::English => &ENGLISH,
            Self::Latin => &LATIN,
            Self::Japanese => &JAPANESE,
        }
    }
}

/// Gives names, each once as long as there are new ones: then with a town, as namesakes are told apart.
pub(super) struct Names {
    random: Random,
    given: HashSet<String>,
}

impl Names {
    pub fn new(random: Random) -> Self {
        Self { random, given: HashSet::new() }
    }

    pub fn person(&mut self, culture: Culture) -> String {
        let parts = culture.parts();
        for _ in 0..8 {
            let name = format!("{} {}", self.random.pick(parts.given), self.random.pick(parts.family));
            if self.given.insert(name.clone()) {
                return name;
            }
        }
        let initial = char::from(b'A' + self.random.below(26) as u8);
        format!("{} {initial}. {}", self.random.pick(parts.given), self.random.pick(parts.family))
    }

    pub fn company(&mut self, culture: Culture) -> String {
        let parts = culture.parts();
        let random = &mut self.random;
        let mut name =
            format!("{} {} {}", random.pick(parts.stem), random.pick(parts.trade), random.pick(parts.form));
        if !self.given.insert(name.clone()) {
            name = format!("{name} ({})", random.pick(parts.town));
        }
        name
    }
}
