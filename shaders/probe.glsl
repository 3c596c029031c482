// The probe of method guided: which tokens are scored before the scan. docs/algorithm.md, "Probe".
// Needs the binding `control`, rng.glsl.
#ifndef PROBE_GLSL
#define PROBE_GLSL

const uint PROBE_NONE = 0xffffffffu;

struct Probe {
    uint first, end;    // the candidates
    uint first_run, end_run;
    uint step;          // runs of which one is scored: what a token of the probe stands for
    uint key;
};

Probe probe_make(uint group)
{
    Probe p;
    p.first = control[group_word(group, VSA_G_SINK_END)];
    p.end = control[group_word(group, VSA_G_WINDOW)];
    p.first_run = p.first / VSA_PROBE_RUN;
    p.end_run = (p.end + VSA_PROBE_RUN - 1u) / VSA_PROBE_RUN;
    uint runs = p.end_run - min(p.first_run, p.end_run);
    p.step = max((runs + VSA_PROBE_RUNS - 1u) / VSA_PROBE_RUNS, 1u);
    p.key = draw_key(VSA_PROBE_START, group_sequence(group), group_kv_head(group),
                     control[group_word(group, VSA_G_LENGTH)]);
    return p;
}

// The token at a place below VSA_PROBE_TOKENS, or PROBE_NONE.
uint probe_token(Probe p, uint place)
{
    uint stratum = place / VSA_PROBE_RUN;
    uint run = p.first_run + stratum * p.step + chain(p.key, stratum) % p.step;
    uint token = run * VSA_PROBE_RUN + place % VSA_PROBE_RUN;
    return run < p.end_run && token >= p.first && token < p.end ? token : PROBE_NONE;
}
#endif
