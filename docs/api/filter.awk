# The headers' plain comments as Doxygen's: a comment on lines of its own documents what follows it, a
# comment behind a declaration documents that, or each of several names that it declares. Banners (a
# row of dashes) stay. The first comment of a file is the file's.

function trim(text)
{
    gsub(/^[ \t]+|[ \t]+$/, "", text)
    return text
}

# "type *a, *b;" one name a line, each with the comment.
function split_names(declaration, comment,    indent, names, count, i, type)
{
    match(declaration, /^[ \t]*/)
    indent = substr(declaration, 1, RLENGTH)
    declaration = trim(declaration)
    sub(/;$/, "", declaration)
    count = split(declaration, names, ",")
    match(names[1], /[*]*[A-Za-z0-9_]+$/)
    type = substr(names[1], 1, RSTART - 1)
    names[1] = substr(names[1], RSTART)
    for (i = 1; i <= count; i++) {
        print indent type trim(names[i]) ";" comment
    }
}

{
    line = $0
    at = index(line, "/*")
    if (at == 0 || line ~ /\/\* -----/) {
        if (line ~ /^ +[A-Za-z_][A-Za-z0-9_ ]* [*]?[a-z_0-9]+(, [*]?[a-z_0-9]+)+;[ \t]*$/) {
            split_names(line, own)
        } else {
            print line
        }
        own = ""
        next
    }
    before = substr(line, 1, at - 1)
    comment = substr(line, at + 2)
    while (comment !~ /\*\//) {
        if ((getline line) <= 0) {
            break
        }
        comment = comment "\n" line
    }
    if (before ~ /^[ \t]*$/) {
        print before "/**" (first ? "" : " \\file\n") comment
        first = 1
    } else if (before ~ /^ +[A-Za-z_][A-Za-z0-9_ ]* [*]?[a-z_0-9]+(, [*]?[a-z_0-9]+)+;[ \t]*$/) {
        split_names(before, " /**<" comment)
    } else {
        print before "/**<" comment
    }
}
