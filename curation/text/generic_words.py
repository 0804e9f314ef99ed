"""Words that name a picture's kind and nothing in it, by language: as a whole text they describe nothing.

Lower case, composed (NFC). The list is short on purpose: a word that may also be what the picture shows
("map", "flag", "arrow") is not on it.
"""

from __future__ import annotations

GENERIC_WORDS = {
    "en": (
        "alt", "alt text", "avatar", "background", "background image", "banner", "banner image", "blank", "caption",
        "click here", "click to enlarge", "cover image", "default", "default image", "enlarge", "featured image",
        "figure", "gallery image", "header image", "hero image", "icon", "image", "image description",
        "image not available", "image not found", "image may contain", "images", "img", "loading", "logo", "logos",
        "no image", "no image available", "no photo", "null", "pic", "pics", "picture", "pictures", "photo", "photos",
        "photograph", "placeholder", "placeholder image", "post image", "preview", "product image", "profile image",
        "profile photo", "profile picture", "screenshot", "site logo", "slide", "spacer", "thumb", "thumbnail",
        "thumbnails", "undefined", "untitled", "user avatar", "video", "video thumbnail", "view image",
    ),
    "de": (
        "abbildung", "bild", "bilder", "bild vergrößern", "foto", "fotos", "kein bild", "kein bild vorhanden",
        "ohne titel", "platzhalter", "produktbild", "profilbild", "symbol", "symbolbild", "titelbild", "unbenannt",
        "vorschau", "vorschaubild", "zum vergrößern klicken",
    ),
    "fr": (
        "agrandir", "aperçu", "bannière", "icône", "illustration", "image à la une", "image du produit", "miniature",
        "pas d'image", "photo de profil", "photographie", "sans titre", "vignette",
    ),
    "es": (
        "foto de perfil", "fotografía", "icono", "imagen", "imagen destacada", "imagen no disponible", "imágenes",
        "logotipo", "miniatura", "sin imagen", "sin título", "vista previa",
    ),
    "it": (
        "anteprima", "fotografia", "icona", "immagine", "immagine di copertina", "immagini", "nessuna immagine",
        "segnaposto", "senza titolo",
    ),
    "pt": (
        "ícone", "imagem", "imagem de destaque", "imagem do produto", "imagens", "pré-visualização", "sem imagem",
        "sem título",
    ),
    "nl": ("afbeelding", "afbeeldingen", "foto's", "geen afbeelding", "naamloos", "pictogram", "plaatje", "voorbeeld"),
    "sv": ("bilder", "förhandsvisning", "ikon", "ingen bild", "logotyp", "miniatyrbild", "namnlös", "profilbild"),
    "da": ("billede", "billeder", "ingen billede", "intet billede", "miniaturebillede", "unavngivet"),
    "no": ("bilde", "forhåndsvisning", "ingen bilde", "miniatyrbilde", "uten tittel"),
    "fi": ("ei kuvaa", "kuva", "kuvake", "kuvat", "nimetön", "pikkukuva", "valokuva"),
    "pl": ("baner", "bez tytułu", "brak zdjęcia", "grafika", "ikona", "miniaturka", "obraz", "obrazek", "zdjęcie"),
    "cs": ("bez názvu", "fotka", "fotografie", "náhled", "obrázek", "obrázky"),
    "hu": ("előnézet", "fénykép", "kép", "képek", "nincs kép", "névtelen"),
    "ro": ("fără titlu", "imagine", "imagini", "pictogramă", "poză"),
    "tr": ("başlıksız", "fotoğraf", "görsel", "küçük resim", "önizleme", "resim", "simge"),
    "el": ("εικόνα", "εικόνες", "εικονίδιο", "λογότυπο", "φωτογραφία", "χωρίς τίτλο"),
    "ru": (
        "баннер", "без имени", "без названия", "значок", "изображение", "иконка", "картинка", "логотип", "миниатюра",
        "нет изображения", "нет фото", "превью", "рисунок", "фото", "фотография",
    ),
    "uk": ("без назви", "банер", "зображення", "картинка", "світлина", "фотографія"),
    "ar": ("أيقونة", "الصورة", "بدون عنوان", "شعار", "صور", "صورة", "صورة مصغرة"),
    "fa": ("بدون عنوان", "تصویر", "تصاویر", "عکس", "لوگو"),
    "he": ("אייקון", "ללא כותרת", "לוגו", "תמונה", "תמונות"),
    "hi": ("चित्र", "छवि", "तस्वीर", "फोटो", "लोगो"),
    "id": ("foto profil", "gambar", "gambar mini", "tanpa judul"),
    "vi": ("biểu tượng", "hình", "hình ảnh", "không có tiêu đề", "ảnh", "ảnh đại diện"),
    "th": ("ภาพ", "รูป", "รูปภาพ", "โลโก้", "ไอคอน", "ไม่มีชื่อ"),
    "zh": (
        "图", "图像", "图标", "图片", "圖", "圖像", "圖標", "圖片", "圖示", "头像", "徽标", "无标题", "暂无图片",
        "未命名", "標誌", "标志", "横幅", "照片", "無標題", "相片", "縮圖", "缩略图", "頭像",
    ),
    "ja": ("アイコン", "イメージ", "サムネイル", "バナー", "ロゴ", "写真", "無題", "画像", "アイキャッチ画像"),
    "ko": ("로고", "무제", "배너", "사진", "섬네일", "썸네일", "아이콘", "이미지"),
}
