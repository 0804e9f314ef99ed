"""What of an answer is a caption: honest ones as they are, all others refused for what they are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.captions.answers import REPEATED_CHARS, REPEATS, Reply, checked, cleaned, ends_in_repetition
from curation.captions.faults import CaptionFaultError, Fault
from curation.captions.prompts import INVISIBLE
from curation.captions.refusals import is_refusal

REFUSALS = [
    "I'm sorry, but I can't assist with that request.",
    "I’m sorry, but I cannot describe this image.",
    "Sorry, I can't help with identifying people in pictures.",
    "I am sorry, there is no image attached.",
    "I'm really sorry, but I'm unable to view the picture.",
    "I'm afraid I can't see the image.",
    "Unfortunately, I am not able to process images.",
    "I apologize, but I don't see any image in your message.",
    "My apologies, but I cannot provide a description.",
    "As an AI language model, I cannot see images.",
    "As a text-based AI, I don't have the ability to view videos.",
    "As an AI developed by a company, I am not able to watch videos.",
    "I am an AI assistant and have no eyes.",
    "I'm just a large language model, so I have no access to pictures.",
    "I cannot assist with that.",
    "I can't provide a caption for this.",
    "I am unable to see an image above.",
    "I don't have access to the video.",
    "I don't see any image here. Could you upload it?",
    "There is no image here to provide a caption for.",
    "No image was provided.",
    "It seems that no image was attached to your message.",
    "It looks like you haven't uploaded an image.",
    "You didn't provide the picture.",
    "Please provide the image you would like me to describe.",
    "Could you please upload the video?",
    "The image could not be loaded.",
    "This request violates our policy.",
    "**I'm sorry**, I can't help with that.",
    '"I cannot describe this."',
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "Tut mir leid, ich kann dieses Bild nicht beschreiben.",
    "Leider kann ich das Bild nicht sehen.",
    "Als KI-Modell kann ich keine Bilder sehen.",
    "Ich kann keine Bilder sehen.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Désolée, je ne vois aucune image.",
    "Je ne peux pas décrire cette image.",
    "En tant qu'IA, je ne vois pas.",
    "Lo siento, pero no puedo ayudar con eso.",
    "Como modelo de lenguaje, no veo imágenes.",
    "Desculpe, mas não posso ajudar com isso.",
    "Mi dispiace, ma non posso aiutarti.",
    "Het spijt me, maar ik kan deze afbeelding niet beschrijven.",
    "Извините, но я не могу помочь с этим.",
    "К сожалению, я не вижу изображения.",
    "Üzgünüm, bu konuda yardımcı olamam.",
    "Maaf, saya tidak dapat membantu.",
    "很抱歉，我无法协助处理这个请求。",
    "对不起，我不能描述这张图片。",
    "作为一个人工智能语言模型，我看不到图片。",
    "申し訳ありませんが、お手伝いできません。",
    "죄송하지만 도와드릴 수 없습니다.",
    "I'm sorry, but I can't help with identifying or describing people in images. Have you another picture?",
    "I'm sorry, I can't assist with that. However, I can describe the setting if you like.",
    "I am unable to see the image. It may not have been uploaded correctly. Please try again.",
    "I'm not able to view images or videos. If you describe it to me, I can help you write a caption.",
    "I cannot see any image attached to your message, so I can't describe it.",
    "I can't identify the people in this image.",
    "I’m unable to identify people, but I can describe what they wear if you like.",
    "I won't be able to help with that request.",
    "I do not have the ability to view images.",
    "I don't have the ability to process images directly.",
    "We're sorry, but we cannot process this image.",
    "I must decline to describe this image.",
    "There doesn't seem to be an image. Please upload it.",
    "I don't feel comfortable describing this picture.",
    "I apologize for any confusion, but I can't view the video.",
    "Unfortunately, I can't see the photo you mentioned.",
    "I'm sorry for the inconvenience, but there is no video attached.",
    "Ich kann Ihnen bei dieser Anfrage leider nicht weiterhelfen.",
    "Leider sehe ich kein Bild.",
    "Ich kann das Video nicht sehen. Bitte laden Sie es hoch.",
    "Je suis désolé, je ne vois pas d'image. Pouvez-vous la partager ?",
    "Je ne peux pas vous aider avec cette demande.",
    "No puedo ver la imagen. Por favor, súbela de nuevo.",
    "Lo siento, no veo ninguna imagen.",
    "Não consigo ver a imagem. Você pode enviá-la?",
    "Desculpe, não posso ajudar.",
    "Non posso vedere l'immagine.",
    "Non vedo nessuna immagine allegata.",
    "Ik kan u hier niet mee helpen.",
    "Ik zie geen afbeelding.",
    "Я не могу помочь с этим запросом.",
    "Bu görseli göremiyorum.",
    "Saya tidak bisa melihat gambar.",
    "抱歉，我无法查看图片。",
    "我没有看到图片，请上传。",
    "申し訳ございませんが、この画像を説明することはできません。",
    "画像が提供されていません。",
    "죄송합니다. 이미지를 볼 수 없습니다.",
    "عذرًا، لا أستطيع مساعدتك في ذلك.",
    "मुझे खेद है, लेकिन मैं इसमें मदद नहीं कर सकता।",
]
HONEST = [
    "A sorry-looking dog cannot get over the fence.",
    "A sign that says: I'm sorry, we are closed, I can't help it.",
    "An AI-generated picture of a cat.",
    "As an airplane takes off, people wave.",
    "As an artist paints, a child looks on and I would say that it is sunny.",
    "There are no people in the picture.",
    "No image of the president hangs on the wall, only flags.",
    "The image shows a dog.",
    "The picture is not in colour and shows a train.",
    "I can see a dog and a cat.",
    "Sorry! is a board game; its box lies on a table.",
    "A man says that he can't provide for his family.",
    "Please keep off the grass, says a sign.",
    "Als der Zug kommt, winken Leute.",
    "Ich-Botschaften stehen auf einem Plakat.",
    "Como una ola, el surfista cae.",
    "Comme une image d'Épinal, un village.",
    "没有人的街道。",
    "画像の中央に犬がいます。",
    "The image is not displayed in full color but in sepia.",
    "There is no one in the picture included in the frame.",
    "No video games found in the clip, only board games.",
    "Unfortunately there is no snow on the mountain; hikers walk over bare rock.",
    "I don't see any people in the image; it shows a beach at sunset.",
    "I can't identify the bird, but it is blue with a red beak.",
    "I cannot read the sign, but the picture shows a railway station.",
    "I can't help but smile at this puppy asleep in a slipper.",
    "I can't see the image clearly, but it seems to be a brown dog on grass.",
    "I'm not sure what the object is; it looks like an old radio.",
    "I am unable to tell the time on the clock, which hangs above a wooden door.",
    "I see no picture on the wall, only a clock and a calendar.",
    "I do not see any cars in this photo of a narrow street.",
    "I don't see a picture frame on the wall, only a mirror.",
    "There is no image on the screen, which is black.",
    "There are no pictures on the walls of the empty room.",
    "There is no video screen in the stadium, but a large crowd.",
    "No photos are available on the shelf, just books and a lamp.",
    "No picture frames hang on the white wall.",
    "No people are visible in the image of a foggy lake.",
    "The image does not show any people, only a row of parked bicycles.",
    "The image is not available in colour; it is a black-and-white portrait of a woman.",
    "The picture was not taken at night but at dusk, over a harbour.",
    "The video is not loaded with action: a man sits and reads.",
    "The photo cannot be viewed without noticing the red balloon in the middle.",
    "The image could not be more colourful: parrots sit on a branch.",
    "The content of the jar cannot be seen through the dark glass.",
    "The picture is not processed and shows raw brush strokes in oil.",
    "Unfortunately, the dog cannot reach the ball that lies on the roof.",
    "Unfortunately for the goalkeeper, the ball is not in his hands.",
    "Sorry, we are closed, says a sign in the window of a bakery.",
    "I'm sorry, I can't come to your party, reads a pink card with a bear.",
    "I'm afraid of spiders is printed on the shirt of a boy.",
    "I cannot answer the phone right now, says a note on a door.",
    "Please share this picture, says a poster with a lost cat.",
    "Please send photos to the address on the poster of a missing dog.",
    "As an AI-generated picture, it shows a fox in a suit.",
    "You can't provide enough shade for the sheep under one tree.",
    "This request stop sign is at a bus stop in the rain.",
    "Ich sehe keine Bilder an der Wand, nur einen Spiegel.",
    "Leider kann ich den Namen auf dem Schild nicht lesen, aber das Bild zeigt einen Bahnhof.",
    "Leider ist auf dem Bild kein Mensch zu sehen, nur ein leerer Strand.",
    "Es tut mir leid steht auf einer Karte mit Blumen.",
    "Entschuldigung, ich bin nicht schuld, steht auf dem Hemd eines Kindes.",
    "Als ich das Foto machte, war kein Schnee auf den Bergen.",
    "Je ne vois aucune personne sur cette image, seulement un chien.",
    "Malheureusement, je n'ai que cette photo d'un chat sur un toit.",
    "Désolée, la boutique n'est pas ouverte, dit un panneau.",
    "Comme une image d'Épinal, un village sous la neige.",
    "No hay imágenes en la pared, solo un reloj.",
    "No hay fotos de personas en el álbum abierto sobre la mesa.",
    "Lo siento, no hay pan, dice un cartel en la panadería.",
    "Lamentablemente no hay nieve en la montaña; los excursionistas caminan sobre roca.",
    "Não há pessoas na imagem, apenas um barco.",
    "Infelizmente não há sol na praia, e as cadeiras estão vazias.",
    "Não posso ver o rosto do homem, mas ele usa um chapéu vermelho.",
    "Purtroppo non c'è neve sulla montagna, solo roccia.",
    "Non vedo persone nella foto, solo una barca sulla spiaggia.",
    "Helaas is er geen sneeuw op de berg.",
    "Ik zie geen mensen op de foto, alleen een hond op het strand.",
    "К сожалению, на снимке не видно лица; женщина стоит спиной.",
    "Я не вижу людей на фото, только собаку на пляже.",
    "Maalesef dağda kar yok, yürüyüşçüler kayaların üzerinde.",
    "Maaf, toko tutup, tulisan di pintu sebuah toko roti; tidak ada orang.",
    "图片中没有看到人，只有一只狗。",
    "我无法识别图中的人物，但他穿着红色衣服站在舞台上。",
    "很抱歉，今天没有营业，面包店的牌子上写着。",
    "写真には人がいませんが、犬が一匹います。",
    "すみません、本日は営業しておりませんと書かれた看板。",
    "이미지에 사람이 없습니다. 해변에 개가 있습니다.",
    "لا يوجد أشخاص في الصورة، فقط كلب على الشاطئ.",
    "तस्वीर में कोई व्यक्ति नहीं है, केवल एक कुत्ता है।",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals(text: str) -> None:
    with pytest.raises(CaptionFaultError) as error:
        checked(Reply(text, "stop", None, None))
    assert error.value.fault is Fault.REFUSAL


@pytest.mark.parametrize("text", HONEST)
def test_honest_captions_are_none(text: str) -> None:
    assert not is_refusal(text)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from (text for each in value for text in _texts(each))
    elif isinstance(value, dict):
        yield from (text for name in ("captions", "sentences") for text in _texts(value.get(name)))


def real_captions(folder: Path) -> list[str]:
    def lines(name: str) -> list[str]:
        return gzip.decompress((folder / name).read_bytes()).decode().splitlines()

    found = [line.partition("\t")[2] for line in lines("flickr8k.token.txt.gz")]
    found += [line for lang in ("en", "de", "fr") for line in lines(f"multi30k_train.{lang}.txt.gz")]
    found += _texts(json.loads("\n".join(lines("mscoco_karpathy_val.json.gz"))))
    found += [text for line in lines("xflickrco_iglue_test_8lang.jsonl.gz") for text in _texts(json.loads(line))]
    return [text.strip() for text in found if text.strip()]


@pytest.mark.slow
def test_real_captions_pass_as_they_are(real_data: Path) -> None:
    """168,000 human captions in nine languages. Twelve are refused: of pictures that their writers were not shown, and
    one of signs alone, which occurs twice.
    """
    captions = real_captions(real_data / "captions")
    refused: dict[str, Fault] = {}
    for text in captions:
        try:
            assert checked(Reply(text, "stop", None, None)).text == INVISIBLE.sub("", text)
        except CaptionFaultError as error:
            refused[text] = error.fault
    assert len(captions) > 160_000
    assert {text for text, fault in refused.items() if fault is not Fault.REFUSAL} == {"@@"}
    del refused["@@"]
    assert all("no image" in text or "no photo" in text or "unable to see" in text for text in refused)
    assert len(refused) == 5


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (" a dog\n", "a dog"),
        ("a dog<|im_end|>\n<|im_start|>user\nand now?", "a dog"),
        ("<s> a dog</s>", "a dog"),
        ("<|im_start|>\n<s>a dog", "a dog"),
        ("a dog<end_of_turn>", "a dog"),
        ("a dog<|eot_id|><|start_header_id|>", "a dog"),
        ("a dog<\uff5cend\u2581of\u2581sentence\uff5c>x", "a dog"),
        ("a dog[/INST] b", "a dog"),
        ("<think>what is\nit?</think>\n\na dog", "a dog"),
        ("what is it?</think>a dog", "a dog"),
        ("<think>one</think> no <think>two</think>a dog", "a dog"),
        ("a dog <think>and", "a dog"),
        ("<think>and and and", ""),
        ("a\x00 d\x1bo\ud800g\x85\r\nb", "a dog\nb"),
        ("a <unk>dog<pad><pad>", "a dog"),
        ("a < b and b > c [sic] <b>", "a < b and b > c [sic] <b>"),
        ("</s>", ""),
    ],
)
def test_what_is_no_word_goes(text: str, left: str) -> None:
    assert cleaned(text) == left


@given(st.text())
def test_cleaning_once_is_enough(text: str) -> None:
    once = cleaned(text)
    assert once == once.strip() and once.encode() is not None
    assert cleaned(once) == once


@pytest.mark.parametrize(
    ("text", "finish", "fault"),
    [
        ("", "stop", Fault.EMPTY),
        (" \n\x00", "stop", Fault.EMPTY),
        ("...", "stop", Fault.EMPTY),
        ("<think>hm</think>", "stop", Fault.EMPTY),
        ("a dog and", "length", Fault.ENDLESS),
        ("", "length", Fault.ENDLESS),
        ("a dog", "refusal", Fault.REFUSAL),
        ("A picture of " + "a dog and " * 50, "stop", Fault.ENDLESS),
        ("A picture of " + "a dog and " * 50 + "a do", "stop", Fault.ENDLESS),
        ("字" * 500, "stop", Fault.ENDLESS),
        ("The picture shows a wide green field under a blue sky. " * 4, "stop", Fault.ENDLESS),
    ],
)
def test_what_is_no_answer(text: str, finish: str, fault: Fault) -> None:
    with pytest.raises(CaptionFaultError) as error:
        checked(Reply(text, finish, None, None))  # type: ignore[arg-type]
    assert error.value.fault is fault


def _by_definition(text: str) -> bool:
    tail = text.rstrip()
    return any(
        size >= REPEATED_CHARS and tail[-size:][period:] == tail[-size:][:-period]
        for size in range(REPEATED_CHARS, len(tail) + 1)
        for period in range(1, (size + 1) // REPEATS + 1)
    )


@given(st.text("ab", max_size=20), st.text("ab", min_size=1, max_size=40), st.integers(105, 160), st.integers(0, 9))
@settings(max_examples=300, deadline=None)
def test_repetition_is_what_it_is_defined_as(begin: str, words: str, size: int, cut: int) -> None:
    text = (begin + (words * size)[:size])[: -cut or None]
    assert ends_in_repetition(text) == _by_definition(text)


@pytest.mark.parametrize("text", ["ha ha ha ha ha ha!", "A row of trees, trees, trees, trees and a dog.", "x" * 119])
def test_short_repetitions_are_words(text: str) -> None:
    assert not ends_in_repetition(text)


BIG = 10**6


@pytest.mark.parametrize(
    "text",
    ["a" * BIG, " " * BIG, "<" * BIG, "<|" * BIG, "<think>" * BIG, "</think>" * BIG, "\x00" * BIG, "\ud800" * BIG,
     "[" * BIG, "<s>" * BIG, "i'm sorry " * BIG, "no " * BIG, "<|a" * BIG, "as an " * BIG, "ab" * BIG + "c"],
    ids=range(15),
)  # fmt: skip
def test_megabytes_take_linear_time(text: str) -> None:
    begun = process_time()
    try:
        checked(Reply(text, "stop", None, None))
    except CaptionFaultError as error:
        assert len(error.detail) <= 300
    assert process_time() - begun < 8
