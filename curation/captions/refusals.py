"""How models say, in several languages, that they cannot or will not: always at the begin of an answer.

A refusal speaks of the request: that it cannot be done, or that its picture is not there. And it goes on speaking to
whoever asked; where an answer goes on to describe something, it is a caption, whatever it began with.
"""

from __future__ import annotations

import re
from typing import Final

LOOKED_AT: Final = 600
"""Characters of an answer."""
_ASIDE: Final = 8
"""Characters of a clause that says too little to be a description."""

_MEDIUM = r"(?:images?|pictures?|photo(?:graph)?s?|videos?|clips?|attachments?|files?|media)"
_HERE = (
    r"(?= *(?:$|[.!?,;:)\"]| - )| (?:here|above|below|yet|directly|or (?:any )?(?:other )?\w+(?=[.,!?]|$)|attached|"
    r"uploaded|provided|shared|included|available|(?:in|with|to|from|by) (?:your|this|our|the) (?:message|conversation|"
    r"chat|request|prompt|post|question)|to (?:be )?(?:describe|caption|analy[sz]e|provide|view|work|look|base)|"
    r"(?:that )?you\b|at (?:the|this) moment|for me\b|because|so i\b))"
)
"""What may follow the name of a medium that is itself meant, not what is in it."""
_NO = r"(?:an?|any|the|this|that|these|those|your|such|actual|attached|uploaded|provided|specific|visual|new|valid)"
_THE_MEDIUM = rf"(?:{_NO} )*{_MEDIUM}{_HERE}"
_CANNOT = (
    r"(?:can't|cannot|can not|couldn't|could not|won't|will not|must decline|(?:'m |am |are |'re |was )(?:\w+ly "
    r")?(?:unable|not (?:able|allowed|permitted|programmed|designed|going|comfortable)))(?: to)?(?: \w+ly)?"
)
_GIVEN = r"(?:attached|provided|uploaded|shared|included|supplied|received|found|available|visible|present|detected)"

_REQUEST = (
    # English: what cannot be done
    rf"(?:i|we) ?(?:still |just )?{_CANNOT} (?:(?:be able to |continue to )?(?:(?:assist|help)(?= *[.,;!?]| (?:you|"
    rf"with|in|describe|identify|create|caption)\b|$)|comply|fulfil\w*|(?:provide|generate|create|produce|offer|give|"
    rf"write) (?:\w+ ){{0,3}}?(?:description|caption|content|information|assistance|response|details?|analysis|that|"
    rf"this|{_MEDIUM})|describ(?:e|ing) (?:this|that|the|an?|any|what|{_MEDIUM})|(?:identify|recogni[sz]e) (?:\w+ "
    rf"){{0,3}}?(?:people|persons?|individuals?|faces?|who)|(?:answer|respond|discuss|engage|interpret|process|"
    rf"analy[sz]e|caption)(?: (?:to|in|with))? (?:\w+ )?(?:this|that|it|your|such|{_MEDIUM})|do (?:this|that)\b|(?:see|"
    rf"view|watch|access|open|load|find|detect|perceive|receive|locate) {_THE_MEDIUM}))",
    rf"(?:i|we) (?:don't|do not|didn't|did not|haven't|have not) (?:\w+ly |currently )?(?:see|find|detect|receive|"
    rf"received|have|have access to|have (?:the ability|the capability) to \w+) {_THE_MEDIUM}",
    r"(?:i|we) (?:don't|do not) (?:have the (?:ability|capability)|feel comfortable)\b",
    r"as an? (?:[\w-]+ ){0,3}?(?:ai|language model|artificial intelligence)\b(?!-)[^.!?]{0,80}?\b(?:i|my)\b",
    r"(?:i'm|i am)(?: just| only)? an? (?:[\w-]+ ){0,3}?(?:ai|language model)\b(?!-)",
    # its picture is not there
    rf"(?:it (?:seems|appears|looks) (?:that |like )?)?(?:there (?:is|was|are|'s) (?:no|not an?)|there isn't an?|there "
    rf"(?:doesn't|does not) (?:seem|appear) to be an?|i see no|no) (?:\w+ed )?{_MEDIUM}(?: (?:is|was|were|are|has been|"
    rf"have been))?(?: {_GIVEN})?{_HERE}",
    rf"(?:it (?:seems|appears|looks) (?:that |like )?)?you (?:haven't|have not|didn't|did not|forgot to) (?:\w+ "
    rf")?(?:provide|attach|upload|share|include|send)\w* {_THE_MEDIUM}",
    rf"(?:could you |can you )?(?:please|kindly) (?:provide|upload|share|attach|send|supply) (?:me |us )?(?:with "
    rf")?{_THE_MEDIUM}",
    rf"(?:the|this|your) {_MEDIUM} (?:you \w+ )?(?:could not|cannot|can't|failed to|was not|wasn't|is not|isn't|did "
    rf"not|didn't) (?:be )?(?:load|display|process|open|render|view|provid|attach|upload|access)\w*(?: properly| "
    rf"correctly)?{_HERE}",
    r"(?:this|your|the) (?:request|prompt|content|image|picture) (?:\w+ )?(?:violates|goes against) (?:\w+ "
    r"){0,3}?(?:polic|guideline|terms|rules?\.)",
    # German
    r"(?:ich (?:kann|konnte|darf)|(?:kann|konnte|darf) ich) (?:(?!aber|und)\w+ ){0,5}?(?:nicht|keine?n?) (?:\w+ "
    r"){0,3}?(?:helfen|behilflich|weiterhelfen|beschreiben|beantworten|identifizieren|erstellen|bereitstellen|"
    r"erfüllen)\b",
    r"(?:ich (?:kann|konnte)|(?:kann|konnte) ich) (?:(?:keine?|das|dieses|die|ihre?|dein|angehängte|bereitgestellte) "
    r")+(?:bild|bilder|foto|fotos|video|videos|datei)(?: leider)?(?: nicht)? (?:sehen|ansehen|öffnen|anzeigen|laden|"
    r"erkennen|verarbeiten)\b",
    rf"(?:ich sehe|sehe ich) (?:hier |leider )?kein(?:e|en)? (?:bild|foto|video)\w*{_HERE}",
    r"als (?:eine? )?(?:große[s]? )?(?:ki\b|künstliche intelligenz|sprachmodell)[^.!?]{0,60}?\bich\b",
    # French
    r"je ne (?:peux|suis|parviens|saurais)(?: malheureusement)? (?:pas |en mesure |capable |autorisée? |de |d'|à |vous "
    r"|t'|te )*(?:aider|assister|décrire|fournir|identifier|répondre|accéder|traiter|générer|créer|analyser|"
    r"satisfaire)\b",
    rf"je ne (?:vois|trouve|peux pas voir|peux voir) (?:pas )?(?:aucune? |d'|de |l'|la |cette |votre )*(?:images?|"
    rf"photos?|vidéos?){_HERE}",
    r"en tant qu(?:e |')(?:ia\b|intelligence artificielle|assistant|modèle de lang)[^.!?]{0,60}?\bj(?:e |')",
    # Spanish, Portuguese, Italian
    r"no (?:puedo|me es posible|soy capaz de|estoy en condiciones de) (?:ayudar|asistir|proporcionar|describir|cumplir|"
    r"identificar a|procesar|responder|generar|analizar)",
    rf"no (?:puedo ver|veo|hay|encuentro|puedo acceder a) (?:(?:ninguna?|la|las|el|los|esta|tu|su) "
    rf")*(?:im[aá]gen(?:es)?|fotos?|fotografías?|v[ií]deos?)(?: (?:adjunta|proporcionada)s?)?{_HERE}",
    r"como (?:una? )?(?:ia\b|inteligencia artificial|modelo de leng)[^.!?]{0,60}?\bno\b",
    r"não (?:posso|consigo|sou capaz de) (?:te |lhe |o |a )?(?:ajud|auxili|fornec|descrev|cumpr|identificar pess|"
    r"process|respond|atend|ger|analis)",
    rf"não (?:posso ver|consigo ver|vejo|há|consigo acessar|posso acessar) (?:(?:nenhuma?|a|as|o|os|essa|esta|sua) "
    rf")*(?:imagens?|imagem|fotos?|vídeos?)(?: (?:anexada|fornecida)s?)?{_HERE}",
    r"como (?:uma? )?(?:ia\b|inteligência artificial|modelo de ling)[^.!?]{0,60}?\bnão\b",
    r"non (?:posso|riesco a|sono in grado di) (?:aiut|assist|forn|descriv|identificare (?:le )?person|soddisf|rispond|"
    r"gener|elabor|analizz)",
    rf"non (?:posso vedere|riesco a vedere|vedo|c'è|posso accedere a) (?:(?:nessuna?|alcuna?|la|le|il|i|questa|tua) |"
    rf"l'|all')*(?:immagin[ei]|foto|video)(?: allegat\w)?{_HERE}",
    r"(?:come|in quanto) (?:un'? ?)?(?:ia\b|intelligenza artificiale|modello ling)[^.!?]{0,60}?\bnon\b",
    # Dutch, Russian, Turkish, Indonesian
    r"(?:ik (?:kan|kon|mag)|(?:kan|mag) ik) (?:(?!maar|en )\w+ ){0,5}?(?:niet|geen) (?:\w+ ){0,2}?(?:helpen|"
    r"beschrijven|identificeren|beantwoorden|bekijken|verwerken|zien(?=[.!,]|$))",
    rf"(?:ik zie|zie ik) (?:hier |helaas )?geen (?:afbeelding(?:en)?|foto's|foto|video){_HERE}",
    r"als (?:een )?(?:ai\b|ai-model|taalmodel)[^.!?]{0,60}?\bik\b",
    r"я не (?:могу|в состоянии|имею возможности) (?:вам |с этим )?(?:помочь|описать|ответить|предоставить|выполнить|"
    r"обработать|идентифицировать людей|опознать людей)",
    rf"я не (?:вижу|могу (?:увидеть|видеть|просмотреть|открыть)) (?:никак\w+ |эт\w+ |ваш\w+ )?(?:изображени\w|фото\w*|"
    rf"картин\w+|видео){_HERE}",
    r"как (?:ии\b|искусственный интеллект|языковая модель)[^.!?]{0,60}?\bя\b",
    r"(?:(?:bu|size|sana|konuda|isteğe|istek|isteği|ne yazık ki) )*(?:yardımcı|yardım|yerine getir|yanıt ver)\w* "
    r"?(?:olamam|olamıyorum|edemem|edemiyorum|emem|emiyorum)\b|(?:(?:bu|herhangi bir) )*(?:görsel|görüntü|resim|resm|"
    r"fotoğraf|video)\w* (?:göremiyorum|göremem|açıklayamam|tanımlayamam|betimleyemem|tarif edemem)",
    rf"saya tidak (?:dapat|bisa|mampu) (?:membantu|mendeskripsikan|memberikan|menjawab|memproses|memenuhi|"
    rf"mengidentifikasi orang|melihat (?:gambar|foto|video)(?: ini| tersebut)?{_HERE})",
    # Chinese, Japanese, Korean, Arabic, Hindi
    r"我(?:暂时|目前|现在)?(?:无法|無法|不能|没有办法|沒有辦法|不可以)(?:为您|为你|对此|直接|给您|給您)*(?:协助|協助|"
    r"帮助|幫助|帮|幫|提供|描述|满足|滿足|回答|处理|處理|识别(?:图|照|视|这)?\w{0,5}?人|(?:查看|看到|看见|看見|访问|"
    r"打开|显示)(?:您|你|这|這|该|該|任何|上传|的|张|張|个)*(?:图片|图像|圖片|圖像|照片|视频|影片))",
    r"我?(?:没有|未|沒有|看不到)(?:看到|收到|提供|检测到|上传)?(?:您|你|这|任何|上传|提供|的|张)*(?:图片|图像|圖片|"
    r"圖像|照片|视频|影片)(?=[。，,！!？?]|$)",
    r"(?:作为|作為|我是)(?:一个|一個|一名|一款|一种)?(?:ai|人工智能|人工智慧|(?:大型?)?(?:语言|語言)模型)",
    r"(?:その|この)?(?:ご?(?:要望|依頼|質問|リクエスト)|件|こと)?(?:に(?:は|ついて)?|を)?、?お?(?:手伝い|答え|応え|"
    r"力添え)(?:すること)?(?:は|が)?でき(?:ません|かね|ない)|(?:その|この|添付の)?(?:画像|写真|動画)(?:の(?:説明|"
    r"内容))?(?:を|が|は|に)(?:見る|見|表示|説明|確認|拝見|認識|提供|添付|閲覧|描写|生成)\w{0,6}?(?:でき(?:ません|"
    r"ない)|られません|れていません|れておりません|いたしかね)",
    r"(?:私は)?(?:ai|人工知能|(?:大規模)?言語モデル)(?:アシスタント)?(?:として|ですので|であり|"
    r"なので)[^。]{0,60}?(?:ません|できない)",
    r"(?:그 |이 |해당 )?(?:요청|부탁|질문)?\w{0,3} ?(?:도와|도움을?) ?드?\w{0,4} ?(?:수(?:는|가)? 없|어렵|못)|(?:이 |"
    r"해당 |첨부된 )?(?:이미지|사진|그림|영상|동영상)(?:를|을|에 대해|에 대한 설명을)? (?:볼|설명할|확인할|처리할|"
    r"묘사할|제공할|설명해 드릴) 수(?:는|가)? 없",
    r"(?:저는 )?(?:ai|인공지능|언어 ?모델)(?:로서|이므로|이기 때문)",
    r"(?:ف?أنا )?(?:لا|لن) (?:أستطيع|يمكنني|أتمكن من) (?:مساعد|المساعد|وصف|تقديم|رؤية (?:هذه )?(?:ال)?(?:صور|فيديو))",
    r"(?:मैं |लेकिन ){0,2}(?:\S+ ){0,4}?(?:मदद|सहायता|वर्णन) (?:नहीं कर|करने में असमर्थ)|मैं (?:\S+ ){0,2}?(?:छवि|"
    r"तस्वीर|चित्र|वीडियो) नहीं देख",
)
_SORRY = (
    r"(?:oh|(?:i'm|i am|we're|we are) (?:\w+ ){0,2}?(?:sorry|afraid)|(?:so )?sorry|(?:(?:my|our) )?(?:sincere "
    r")?apologies|(?:i|we) apologi[sz]e|unfortunately|regrettably|for (?:the|any) (?:inconvenience|confusion)|but|that|"
    r"however|(?:es )?tut mir (?:sehr |wirklich )?leid|entschuldigung|leider|aber|(?:je suis )?(?:vraiment |"
    r"sincèrement )?désolée?|malheureusement|je m'excuse|mais|lo siento(?: mucho)?|lo lamento|lamentablemente|"
    r"desafortunadamente|disculp[ae]|perdón|pero|desculpe|lamento|sinto muito|infelizmente|mas|mi dispiace|spiacente|"
    r"purtroppo|ma|het spijt me|helaas|maar|к сожалению|извините|простите|прошу прощения|мне (?:очень )?жаль|но|"
    r"üzgünüm|özür dilerim|maalesef|ama|ancak|(?:mohon )?maaf|tetapi|tapi|namun|(?:很|非常|十分|真的)?(?:抱歉|对不起|"
    r"對不起|不好意思|遗憾)|但(?:是)?|(?:大変)?(?:申し訳(?:ありません|ございません)|すみません|ごめんなさい|"
    r"恐れ入ります)が?|(?:죄송|미안)(?:합니다만|합니다|하지만|해요)|유감스럽게도|عذر\S{1,2}|آسف|أعتذر|للأسف|"
    r"ولكن(?:ني)?|لكن(?:ني)?|मुझे खेद है|क्षमा करें|माफ़ (?:कीजिए|करें)|लेकिन|कि)"
)
_REFUSAL = re.compile(
    rf"(?:{_SORRY}(?:[ ,.;:!，。、！،—-]+|(?=[^a-z])))*+(?:{'|'.join(f'(?:{each})' for each in _REQUEST)})"
)

_CLAUSE = re.compile(
    r"[.!?;:。！？；，、،।]+|,(?! (?:or|and|oder|und|ou|et|o|y|e|of|en)\b)| - |\b(?:but|aber|mais|pero|mas|ma|maar|но|"
    r"ama|tetapi)\b|但"
)
_TALK = re.compile(
    r"\b(?:i|i'm|i'd|i'll|i've|me|my|we|us|our|you|you're|you'd|your|please|feel free|let|sorry|could|would|can't|"
    r"request|ai|model|polic\w+|guideline\w*|help|assist\w*|upload\w*|attach\w*|provid\w+|describ\w+|description|ich|"
    r"mir|sie|ihnen|ihre?|du|dir|dein|bitte|je|j'\w+|vous|votre|tu|te|puedo|ayud\w+|tienes?|favor|súb\w+|posso|você|"
    r"ajud\w+|aiut\w+|puoi|hai|ti|ik|u|uw|jij|kunt|kan|я|вы|вам|вас|мне|пожалуйста|lütfen|yardım\w*|siz\w*|ben\w*|saya|"
    r"anda|silakan)\b|[我您你请請]|ください|ません|ます|주세요|드[리릴립]|습니다|أنا|يرجى|مساعد|मैं|आप|कृपया|मुझे"
)
"""Words in which an answer speaks of itself, of whoever asked, or of the request."""
_LEAD = re.compile(r"[\s\"'“”«»„>:\-]+")
_PLAIN = str.maketrans("’‘ʼ`´", "'''''", "*_#")


def is_refusal(text: str) -> bool:
    """Whether an answer refuses, or says that there is nothing to look at, and describes nothing."""
    begin = " ".join(text[: 2 * LOOKED_AT].translate(_PLAIN).split())[:LOOKED_AT].lower()
    lead = _LEAD.match(begin)
    found = _REFUSAL.match(begin, lead.end() if lead else 0)
    if found is None:
        return False
    _, *clauses = _CLAUSE.split(begin[found.end() :])  # the first one is what cannot be done
    return all(len(clause.strip()) <= _ASIDE or _TALK.search(clause) for clause in clauses)
