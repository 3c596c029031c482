# Results of tests/stat/coverage.c, without header, into docs/coverage.md. Lines that begin with #
# describe a model. Fields: 1 model, 2 tokens, 3 method, 4 bound, 5 target, 6 epsilon, 7 delta,
# 8 rows, 9 failures, 10 dense, 11 last, 12 floored, 13 mean samples, 14 median, 15 certified,
# 16 density, 17 gathered, 18 stages, 19 p, 20 verdict.

/^#/ {
    name = substr($1, 2)
    what[name] = $2
    next
}

{
    kind = $3 ", " $4 ", " $5
    if (!(kind in kind_cells)) {
        kinds[++kind_count] = kind
    }
    key = kind SUBSEP $1 SUBSEP $2
    if (!(($1, $2) in seen)) {
        seen[$1, $2] = 1
        rows_of[++row_count] = $1 SUBSEP $2
        if (!($1 in used)) {
            used[$1] = ++model_count
            models[model_count] = $1
        }
    }
    if (!($7 in delta_seen)) {
        delta_seen[$7] = 1
        deltas[++delta_count] = $7
    }
    rate = $9 / $8
    if (!((key, $7) in worst) || rate > worst[key, $7]) {
        worst[key, $7] = rate
        worst_p[key, $7] = $20
    }
    if ($20 == "FAILS") {
        any[key, $7] = 1
    }
    if ($6 == 0.1 && $7 == 0.05) {
        sample[key] = sprintf("%s | %s | %s | %.3f | %.3f | %.1f", $13, $14, $15, $16, $17,
                              100 * $10 / $8)
    }
    if ($1 == "missed") {
        next
    }
    kind_cells[kind]++
    kind_rows[kind] += $8
    kind_failures[kind] += $9
    if ($20 == "FAILS") {
        kind_fails[kind]++
        failing[++failing_count] = sprintf("| %s | %s | %s | %s | %s | %d of %d, %.2f%% | %.4f | %s |",
            kind, $1, $2, $6, $7, $9, $8, 100 * rate, $19, $14)
    }
    if (rate / $7 > kind_worst[kind]) {
        kind_worst[kind] = rate / $7
        kind_worst_at[kind] = sprintf("%s, %s tokens, epsilon %s, delta %s", $1, $2, $6, $7)
    }
}

END {
    print "# Coverage\n"
    print "How often the target's actual error is above epsilon, on synthetic rows of known truth. Written by"
    print "`" trimmed(command) "` on " date ": " rows " rows a cell, head dimension 32, sink 16, window 64, top-k 2%, base"
    print "sample 2.5% but 64 to 256, on_miss dense; `build/tests/coverage` takes other settings. Each row (logits, values,"
    print "truth) is decoded by both methods, both bounds, for every target, epsilon (.02, .05, .1, .2, .3) and delta. The simulator"
    print "computes what `tests/reference` does, faster; a test compares the two.\n"
    print "A cell fails when a one-sided binomial test at 99% says that more than delta of its rows are above epsilon; a row"
    print "that was computed densely is not. If every cell stood exactly at its delta, one in a hundred would fail.\n"
    print "Method guided knows D exactly: its numerator and output have the same relative error, and D has none.\n"

    print "| method, bound, target | cells | that fail | rows above epsilon | worst rate / delta | where |"
    print "|---|---|---|---|---|---|"
    for (k = 1; k <= kind_count; k++) {
        kind = kinds[k]
        printf "| %s | %d | %d | %d of %d | %.2f | %s |\n", kind, kind_cells[kind], kind_fails[kind],
            kind_failures[kind], kind_rows[kind], kind_worst[kind], kind_worst_at[kind]
    }
    print "\nWithout the model `missed`, whose scorer is wrong: see below. Bound strict promises a rate of at most delta, as clt does, but at"
    print "every sample size; how far below it stays depends on how much its inequality gives away.\n"

    if (failing_count == 0) {
        print "No cell fails.\n"
    } else {
        print "## Cells that fail\n"
        print "| method, bound, target | model | tokens | epsilon | delta | rows above epsilon | p | median samples |"
        print "|---|---|---|---|---|---|---|---|"
        for (i = 1; i <= failing_count; i++) {
            print failing[i]
        }
        print "\nBound clt rests on a limit: the sum of the sampled weights or values is taken as normal and its spread as"
        print "estimated well. With few samples, a small delta, and weights or values of which a few make most of the spread, neither"
        print "is quite true. More base samples, or bound strict, help.\n"
    }

    print "## Models\n"
    print "| model | logits and values |"
    print "|---|---|"
    for (m = 1; m <= model_count; m++) {
        printf "| %s | %s |\n", models[m], what[models[m]]
    }
    print "\nWhere nothing else is said, values are Gaussian noise around a common mean of half its length.\n"

    print "## Every model and length\n"
    print "Rows above epsilon in % for each delta, at the epsilon where they are most (* where a cell fails); at epsilon .1, delta .05: mean and"
    print "median samples and mean certified error of the rows that met the target, density (tokens of the final sets, all for dense"
    print "rows), tokens gathered in all stages over the length, % of rows dense.\n"
    for (k = 1; k <= kind_count; k++) {
        kind = kinds[k]
        print "### " kind "\n"
        line = "| model | tokens |"
        rule = "|---|---|"
        for (d = 1; d <= delta_count; d++) {
            line = line " delta " deltas[d] " |"
            rule = rule "---|"
        }
        print line " mean | median | certified | density | gathered | dense |"
        print rule "---|---|---|---|---|---|"
        for (r = 1; r <= row_count; r++) {
            split(rows_of[r], part, SUBSEP)
            key = kind SUBSEP part[1] SUBSEP part[2]
            if (!((key, deltas[1]) in worst)) {
                continue
            }
            line = "| " part[1] " | " part[2] " |"
            for (d = 1; d <= delta_count; d++) {
                line = line sprintf(" %.2f%s |", 100 * worst[key, deltas[d]],
                                    (key, deltas[d]) in any ? "*" : "")
            }
            print line " " sample[key] " |"
        }
        print ""
    }

    print "## What the model `missed` shows\n"
    print "Three of twelve needles, 7.5% of D, look like ordinary tokens to the scorer. A uniform sample of a few hundred rarely"
    print "meets one, and neither limit theorem nor spread can know of what was not seen: no bound clt holds here. What can be detected"
    print "is (a sampled token above epsilon / 2 of D makes the row dense, flag HEAVY_SAMPLE). The exact scorer misses nothing."
}

function trimmed(text) {
    sub(/ +$/, "", text)
    return text
}
