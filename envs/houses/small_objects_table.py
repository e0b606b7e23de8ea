"""Which small objects are found where: by type of room, and by what they stand on or in. Weights are ours."""

from __future__ import annotations

_DRINKS = {"mug": 3.0, "cup": 2.0, "bottle": 1.0}
_FOOD = {
    "apple": 2.0,
    "orange": 1.5,
    "banana": 1.5,
    "tomato": 1.5,
    "potato": 1.5,
    "lemon": 1.0,
    "cucumber": 0.7,
    "egg": 1.0,
    "bread": 1.5,
    "jar": 1.0,
}
_READING = {"book": 4.0, "newspaper": 1.0}
_PERSONAL = {
    "phone": 1.5,
    "remote control": 1.0,
    "pen": 1.0,
    "pencil": 0.7,
    "candle": 1.0,
    "tissue box": 1.0,
    "key chain": 1.0,
    "watch": 0.7,
}
_DECORATION = {"vase": 1.5, "statue": 1.0, "potted plant": 1.0, "candle": 1.0}
_TOYS = {"toy block": 1.0, "tennis ball": 0.7}
_TABLEWARE = {"bowl": 3.0, "plate": 3.0, "fork": 1.2, "knife": 1.2, "spoon": 1.2}
_COOKING = {
    "pan": 1.0,
    "pot": 1.0,
    "spatula": 1.0,
    "ladle": 0.7,
    "salt shaker": 1.5,
    "pepper mill": 0.8,
    "cutting board": 0.8,
    "teapot": 0.7,
    "kettle": 0.7,
    "toaster": 0.7,
}
_BOXES = {"box": 1.0, "open box": 1.0, "basket": 0.7}

BY_ROOM: dict[str, dict[str, float]] = {
    "kitchen": _DRINKS
    | _FOOD
    | _TABLEWARE
    | _COOKING
    | {"can": 2.0, "cereal box": 1.0, "milk carton": 0.7, "wine bottle": 0.7, "sponge": 1.0, "spray bottle": 0.7}
    | {"tray": 0.4, "basket": 0.4},
    "dining_room": _TABLEWARE
    | _DRINKS
    | _DECORATION
    | {
        "salt shaker": 1.0,
        "pepper mill": 0.7,
        "wine bottle": 1.0,
        "apple": 1.0,
        "orange": 1.0,
        "bread": 0.7,
        "tray": 0.6,
    },
    "living_room": _READING
    | _PERSONAL
    | _TOYS
    | _DECORATION
    | _BOXES
    | {"mug": 2.0, "remote control": 3.0, "laptop": 0.7, "bowl": 1.0, "tray": 0.4},
    "bedroom": _READING
    | _PERSONAL
    | _TOYS
    | _DECORATION
    | _BOXES
    | {"alarm clock": 2.0, "mug": 1.0, "laptop": 0.7, "watch": 1.5, "dumbbell": 0.5, "box with lid": 1.0},
    "office": _READING
    | _PERSONAL
    | _BOXES
    | {"pen": 3.0, "pencil": 2.0, "mug": 2.0, "laptop": 1.5, "bottle": 1.0, "potted plant": 1.0},
    "bathroom": {
        "soap bar": 3.0,
        "spray bottle": 1.5,
        "toilet roll": 2.5,
        "candle": 1.0,
        "sponge": 1.0,
        "bottle": 1.0,
        "cup": 1.0,
        "tissue box": 1.0,
        "potted plant": 0.5,
    },
    "laundry_room": _BOXES | {"spray bottle": 3.0, "sponge": 2.0, "soap bar": 1.0, "bottle": 1.5},
    "hallway": _DECORATION
    | _BOXES
    | {"phone": 1.5, "newspaper": 1.5, "book": 1.5, "key chain": 2.5, "tennis ball": 0.7},
}
"""Weights of categories by room type."""

BY_HOST: dict[str, dict[str, float]] = {
    "bed": {"book": 2.0, "pillow": 1.0, "phone": 1.0, "laptop": 0.7, "newspaper": 0.7, "toy block": 0.5},
    "sofa": {"pillow": 1.5, "remote control": 1.5, "book": 1.5, "newspaper": 1.0, "phone": 0.7},
    "armchair": {"pillow": 1.0, "book": 1.5, "newspaper": 1.0, "remote control": 0.7},
    "chair": {"book": 1.0, "newspaper": 0.7, "box": 0.5},
    "toilet": {"toilet roll": 2.0, "tissue box": 1.0},
    "sink": {"soap bar": 2.0, "sponge": 1.5, "cup": 1.0},
    "bath tub": {"soap bar": 1.0, "sponge": 1.0},
    "fridge": {"cereal box": 1.0, "basket": 1.0, "bread": 1.0, "open box": 0.7},
    "garbage can": {},
    "laundry hamper": {},
    "bucket": {},
}
"""What alone stands there; nothing at all where it is empty."""

WITHIN: dict[str, dict[str, float]] = {
    "fridge": _FOOD | {"milk carton": 3.0, "bottle": 2.0, "can": 1.5, "bowl": 0.7, "pot": 0.4},
    "microwave": {"bowl": 1.0, "plate": 1.0, "mug": 1.0},
    "oven": {"pan": 1.0, "pot": 1.0},
    "dishwasher": _TABLEWARE | {"mug": 2.0, "cup": 1.5},
    "kitchen cabinet": _TABLEWARE | _DRINKS | {"can": 1.5, "cereal box": 1.5, "pan": 1.0, "pot": 1.0},
    "washing machine": {},
    "garbage can": {},
    "laundry hamper": {},
    "wall cabinet": _TABLEWARE | _DRINKS | {"can": 1.5, "jar": 1.5},
    "safe": {"phone": 1.0, "watch": 1.0, "book": 1.0, "box with lid": 1.0},
    "wardrobe": _BOXES | {"pillow": 1.0, "book": 0.5},
    "storage chest": {"pillow": 1.0, "toy block": 1.0, "book": 1.0},
    "bucket": {},
}
"""The same for what is closed; others hold what their room does."""

RELUCTANCE: dict[str, float] = {
    "chair": 0.05,
    "stool": 0.1,
    "bench": 0.4,
    "armchair": 0.2,
    "sofa": 0.4,
    "bed": 0.4,
    "toilet": 0.3,
    "bath tub": 0.2,
    "washing machine": 0.5,
    "oven": 0.4,
}
"""Factor of a host's chance; 1 for what is made to put things on."""
