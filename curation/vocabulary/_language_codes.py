"""The table behind curation.vocabulary.languages: languages, Wikipedias and WordNets.

Sources: the labels of fastText's lid.176; the Wikipedias of pywikibot 11.9.0 (open and closed, in November 2026); the
Open Multilingual Wordnet (34 wordnets, https://omwn.org), OdeNet (deu) and KurdNet (ckb); names and macrolanguages of
ISO 639-3, where one with a more common English name has that.
"""

LANGUAGES = """
af  | Afrikaans           | af
als | Alemannic German    | als | | gsw
am  | Amharic             | am
an  | Aragonese           | an
ar  | Arabic              | ar ary | arb | ary
arz | Egyptian Arabic     | arz
as  | Assamese            | as
ast | Asturian            | ast
av  | Avar                | av
az  | Azerbaijani         | az
azb | South Azerbaijani   | azb
ba  | Bashkir             | ba
bar | Bavarian            | bar
bcl | Central Bikol       | bcl
be  | Belarusian          | be be-tarask
bg  | Bulgarian           | bg | bul
bh  | Bihari              | bh | | bho
bn  | Bengali             | bn
bo  | Tibetan             | bo
bpy | Bishnupriya         | bpy
br  | Breton              | br
bs  | Bosnian             | bs
bxr | Buryat              | bxr
ca  | Catalan             | ca | cat
cbk | Chavacano           | cbk-zam
ce  | Chechen             | ce
ceb | Cebuano             | ceb
ckb | Central Kurdish     | ckb | ckb
co  | Corsican            | co
cs  | Czech               | cs
cv  | Chuvash             | cv
cy  | Welsh               | cy
da  | Danish              | da | dan
de  | German              | de | deu
diq | Zazaki              | diq
dsb | Lower Sorbian       | dsb
dty | Doteli              | dty
dv  | Dhivehi             | dv
el  | Greek               | el | ell
eml | Emilian-Romagnol    | eml | | egl
en  | English             | en simple | eng
eo  | Esperanto           | eo
es  | Spanish             | es | spa
et  | Estonian            | et fiu-vro | | vro
eu  | Basque              | eu | eus
fa  | Persian             | fa | fas | pes prs
fi  | Finnish             | fi | fin
fr  | French              | fr | fra
frr | Northern Frisian    | frr
fy  | Western Frisian     | fy
ga  | Irish               | ga
gd  | Scottish Gaelic     | gd
gl  | Galician            | gl | glg
gn  | Guarani             | gn
gom | Goan Konkani        | gom
gu  | Gujarati            | gu
gv  | Manx                | gv
he  | Hebrew              | he | heb
hi  | Hindi               | hi
hif | Fiji Hindi          | hif
hr  | Croatian            | hr | hrv
hsb | Upper Sorbian       | hsb
ht  | Haitian Creole      | ht
hu  | Hungarian           | hu
hy  | Armenian            | hy hyw | | hyw
ia  | Interlingua         | ia
id  | Indonesian          | id | ind
ie  | Interlingue         | ie
ilo | Ilocano             | ilo
io  | Ido                 | io
is  | Icelandic           | is | isl
it  | Italian             | it | ita iwn
ja  | Japanese            | ja | jpn
jbo | Lojban              | jbo
jv  | Javanese            | jv map-bms
ka  | Georgian            | ka
kk  | Kazakh              | kk
km  | Khmer               | km
kn  | Kannada             | kn
ko  | Korean              | ko
krc | Karachay-Balkar     | krc
ku  | Northern Kurdish    | ku | | kmr
kv  | Komi                | kv koi | | koi
kw  | Cornish             | kw
ky  | Kyrgyz              | ky
la  | Latin               | la
lb  | Luxembourgish       | lb
lez | Lezgian             | lez
li  | Limburgish          | li
lmo | Lombard             | lmo
lo  | Lao                 | lo
lrc | Northern Luri       | lrc
lt  | Lithuanian          | lt | lit
lv  | Latvian             | lv ltg | | ltg
mai | Maithili            | mai
mg  | Malagasy            | mg
mhr | Meadow Mari         | mhr
min | Minangkabau         | min
mk  | Macedonian          | mk
ml  | Malayalam           | ml
mn  | Mongolian           | mn
mr  | Marathi             | mr
mrj | Hill Mari           | mrj
ms  | Malay               | ms bjn | zsm | bjn zsm
mt  | Maltese             | mt
mwl | Mirandese           | mwl
my  | Burmese             | my
myv | Erzya               | myv
mzn | Mazanderani         | mzn
nah | Nahuatl             | nah
nap | Neapolitan          | nap roa-tara
nds | Low German          | nds nds-nl
ne  | Nepali              | ne
new | Newar               | new
nl  | Dutch               | nl | nld
nn  | Norwegian Nynorsk   | nn | nno
no  | Norwegian Bokmål    | no | nob | nb
oc  | Occitan             | oc
or  | Odia                | or
os  | Ossetian            | os
pa  | Punjabi             | pa
pam | Kapampangan         | pam
pfl | Palatine German     | pfl
pl  | Polish              | pl | pol
pms | Piedmontese         | pms
pnb | Western Punjabi     | pnb
ps  | Pashto              | ps
pt  | Portuguese          | pt | por
qu  | Quechua             | qu
rm  | Romansh             | rm
ro  | Romanian            | ro | ron | mo
ru  | Russian             | ru
rue | Rusyn               | rue
sa  | Sanskrit            | sa
sah | Yakut               | sah
sc  | Sardinian           | sc
scn | Sicilian            | scn
sco | Scots               | sco
sd  | Sindhi              | sd
sh  | Serbo-Croatian      | sh
si  | Sinhala             | si
sk  | Slovak              | sk | slk
sl  | Slovenian           | sl | slv
so  | Somali              | so
sq  | Albanian            | sq | als
sr  | Serbian             | sr
su  | Sundanese           | su
sv  | Swedish             | sv | swe
sw  | Swahili             | sw
ta  | Tamil               | ta
te  | Telugu              | te
tg  | Tajik               | tg
th  | Thai                | th | tha
tk  | Turkmen             | tk
tl  | Tagalog             | tl | | fil
tr  | Turkish             | tr
tt  | Tatar               | tt
tyv | Tuvan               | tyv
ug  | Uyghur              | ug
uk  | Ukrainian           | uk
ur  | Urdu                | ur
uz  | Uzbek               | uz
vec | Venetian            | vec
vep | Veps                | vep
vi  | Vietnamese          | vi
vls | West Flemish        | vls
vo  | Volapük             | vo
wa  | Walloon             | wa
war | Waray               | war
xal | Kalmyk              | xal
xmf | Mingrelian          | xmf
yi  | Yiddish             | yi
yo  | Yoruba              | yo
zh  | Chinese | zh zh-classical zh-min-nan zh-yue wuu gan hak cdo | cmn qcn | cmn wuu yue cdo gan hak lzh nan cjy hsn
"""
"""A vocabulary language per line: code | English name | its Wikipedias | its WordNets | codes that texts in it can bear
besides. The first Wikipedia is the one that it is named after."""

OTHER_WIKIPEDIAS = """
aa ab ace ady ak alt ami ang ann anp arc atj avk awa ay ban bat-smg bbc bdr bew bi blk bm bol btm bug ch cho chr chy
cr crh csb cu dag dga din dtp dz ee ext fat ff fj fo fon frp fur gag gcr glk gor got gpe guc gur guw ha haw ho hz iba
ig igl ii ik inh isv iu jam kaa kab kai kaj kbd kbp kcg kg kge ki kj kl knc kr ks ksh kus lad lbe lfn lg lij lld ln
mad mag mdf mh mi mni mnw mos mus na ng nia nov nqo nr nrm nso nup nv ny olo om pag pap pcd pcm pdc pi pih pnt ppl pwn
rki rmy rn roa-rup rsk rw sat se sg shi shn skr sm smn sn srn ss st stq syl szl szy tay tcy tdd tet ti tig tly tn to
tok tpi trv ts tum tw ty udm ve wo xh za zea zgh zu
"""
"""Wikipedias in languages that lid.176 does not know: their texts go to the list of "other"."""

RENAMED_WIKIPEDIAS = {
    "be-x-old": "be-tarask",  # still the name of its dumps
    "bho": "bh",
    "cbk": "cbk-zam",
    "cmn": "zh",
    "dk": "da",
    "egl": "eml",
    "gsw": "als",
    "lzh": "zh-classical",
    "mo": "ro",  # Moldovan: deleted
    "nan": "zh-min-nan",
    "nb": "no",
    "nrf": "nrm",
    "rup": "roa-rup",
    "sgs": "bat-smg",
    "vro": "fiu-vro",
    "yue": "zh-yue",
    "zh-cn": "zh",
    "zh-tw": "zh",
}
"""Codes that lead, or led, to a Wikipedia of another code: redirects of its site, and names of its dumps."""
