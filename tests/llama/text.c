#include "text.h"

#include <ctype.h>
#include <string.h>

#define LIST(...)  { (const char *const[]){ __VA_ARGS__ }, \
                     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *) }

typedef struct word_list {
    const char *const *entries;
    size_t             count;
} word_list;

/* What the letters in a pattern stand for. */
static const word_list persons = LIST(
    "the clerk", "the old pilot", "a young nurse", "the gardener", "my neighbour", "the librarian",
    "her brother", "the ferryman", "a tired driver", "the schoolteacher", "the baker",
    "the night guard", "one of the carpenters", "the chemist", "the postman", "a visitor",
    "the cook", "the surveyor", "the choir", "the new tenant", "the mayor", "the apprentice",
    "a fisherman", "the lighthouse keeper");
static const word_list things = LIST(
    "a wooden crate", "the brass kettle", "an old map", "the spare key", "a bundle of letters",
    "the broken clock", "a sack of flour", "the long ladder", "a pair of boots",
    "the green notebook",
    "a jar of honey", "the heavy curtain", "a coil of rope", "the glass bowl", "a basket of apples",
    "the printed list", "a small mirror", "the garden tools", "a roll of canvas", "the tin box",
    "a borrowed bicycle", "the kitchen scales", "a stack of plates", "the travelling trunk");
static const word_list places = LIST(
    "in the harbour", "behind the mill", "near the railway bridge", "on the upper floor",
    "beside the church", "at the edge of the forest", "under the stairs", "in the market hall",
    "along the canal", "by the east gate", "in the workshop", "at the foot of the hill",
    "outside the station", "on the north road", "in the empty theatre", "across the square",
    "next to the stables", "in a quiet valley", "above the bakery", "at the end of the pier",
    "inside the greenhouse", "between the two barns", "in the reading room", "on the far bank");
static const word_list times = LIST(
    "in the early morning", "before the rain", "late in the evening", "after the long winter",
    "on market days", "during the harvest", "once a month", "at noon", "when the bells rang",
    "in the first week of spring", "while the others slept", "without any hurry",
    "for the second time", "as soon as it was light", "on the way home", "after supper",
    "until the lamps went out", "in spite of the cold", "much later than planned",
    "on a windy afternoon");
static const word_list acts = LIST(
    "carried", "painted", "repaired", "forgot", "hid", "measured", "sold", "polished", "described",
    "returned", "inspected", "dropped", "wrapped", "borrowed", "examined", "weighed", "cleaned",
    "lost and found", "put away", "showed us");
static const word_list qualities = LIST(
    "quiet", "crowded", "colder than usual", "full of dust", "bright and warm", "almost empty",
    "covered with leaves", "closed for repairs", "freshly painted", "hard to find", "worth a visit",
    "older than it looks", "known for its bread", "easy to reach on foot", "wet and slippery",
    "decorated with flags", "noisy at night", "surrounded by walls");
static const word_list subjects = LIST(
    "the path", "the courtyard", "the waiting room", "the lower field", "the boathouse",
    "the attic", "the main street", "the orchard", "the guest house", "the stone bridge",
    "the cellar", "the riverbank", "the school garden", "the ticket office", "the village inn",
    "the narrow lane", "the chapel", "the tower");
static const word_list weathers = LIST(
    "rain fell", "snow lay", "fog stood", "a strong wind blew", "the sun shone", "hail came down",
    "thunder was heard", "a thin mist rose", "frost had settled", "warm air hung");
static const word_list thoughts = LIST(
    "nobody knew why", "it was a good sign", "that would take years", "the price had risen again",
    "the work was nearly done", "there was enough for everyone", "the story had been told before",
    "no one would ask", "the letter had never arrived", "the roof needed new tiles",
    "the bridge would hold", "a longer holiday was out of the question",
    "the train would be on time", "the garden had never looked better");
static const word_list animals = LIST(
    "two swans", "a grey cat", "the old horse", "a flock of starlings", "some goats", "a lame fox",
    "the neighbour's dog", "a pair of owls", "several hens", "a family of hedgehogs",
    "the white mare", "a swarm of bees");
static const word_list moves = LIST(
    "rested", "wandered about", "waited", "looked for food", "made a great noise", "slept",
    "crossed slowly", "could be seen", "gathered", "disappeared", "stood still", "came closer");

static const struct {
    char        letter;
    const word_list *list;
} slots[] = {
    { 'P', &persons }, { 'T', &things }, { 'L', &places }, { 'W', &times }, { 'A', &acts },
    { 'Q', &qualities }, { 'S', &subjects }, { 'R', &weathers }, { 'H', &thoughts },
    { 'N', &animals }, { 'M', &moves },
};

/* A letter after % is a word of its list. */
static const char *const patterns[] = {
    "%P %A %T %L.",
    "%W %P %A %T.",
    "%P %A %T %L, and %P %A %T.",
    "%R %L %W.",
    "%S was %Q %W.",
    "%S %L is %Q and %Q.",
    "%P thought that %H.",
    "%N %M %L.",
    "%W %N %M %L.",
    "although %S was %Q, %P %A %T %W.",
    "%P said that %H, but %P did not agree.",
    "there was %T %L, where %N often %M.",
    "when %R %L, %P went home with %T.",
    "%P left %T %L because %S was %Q.",
    "nothing happened %L %W, and %H.",
    "%T, which %P had %A %W, was still %L.",
    "from %S one could see that %N %M %L.",
    "if %S is %Q, ask %P about %T.",
    "%P and %P met %L to talk about %T.",
    "it was said that %P once %A %T %L.",
};

static const word_list *find_list(char letter)
{
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (slots[i].letter == letter) {
            return slots[i].list;
        }
    }
    return NULL;
}

void text_sentence(ref_random *random, char out[TEXT_MAX_SENTENCE])
{
    const uint32_t count = sizeof(patterns) / sizeof(patterns[0]);
    const char *pattern = patterns[ref_random_below(random, count)];
    size_t size = 0;
    for (; *pattern; pattern++) {
        const char *piece = pattern;
        size_t piece_size = 1;
        if (*pattern == '%') {
            const word_list *words = find_list(*++pattern);
            piece = words->entries[ref_random_below(random, (uint32_t)words->count)];
            piece_size = strlen(piece);
        }
        if (size + piece_size >= TEXT_MAX_SENTENCE) {
            break;   /* no combination of the lists above is that long: the unit test says so */
        }
        memcpy(out + size, piece, piece_size);
        size += piece_size;
    }
    out[size] = 0;
    out[0] = (char)toupper((unsigned char)out[0]);
}
