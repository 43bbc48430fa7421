# Stacked bars: what each component of each system takes, simulated and published
# side by side. `gnuplot -c breakdown.gp BASE` reads BASE.gp (names, colours) and
# BASE.dat (numbers), which `stillsuit plot` writes, and makes BASE.png and BASE.svg.
base = ARG1
load base.'.gp'
data = base.'.dat'

half = has_published ? 0.19 : 0.26             # of a bar's width
gap = has_published ? 0.205 : 0                # of a bar's middle from its group's
middle(group, published) = group + (published ? gap : -gap)
number = highest < 20 ? '%.2f' : highest < 200 ? '%.1f' : '%.0f'
room = 0.034 * highest                         # a lower segment has no room for its number
shown(row, published, dark, from, to) = to - from >= room && (!published && row_dark[row]) == dark ? 0.5 * (from + to) : NaN

set encoding utf8
set ylabel y_label noenhanced offset 0.5,0
set border 3 lw 1 lc rgb '#404040'
set grid ytics lt 1 lw 0.5 lc rgb '#d8d8d8'
set grid back
set xtics scale 0 nomirror noenhanced offset 0,-0.2
set ytics nomirror scale 0.6
set xrange [0.5:groups + 0.5]
set yrange [0:1.08 * highest]
set bmargin 1.2 + 1.1 * label_lines
set xtics ()
do for [g = 1:groups] { set xtics add (group_label[g] g) }
set key outside right center Left reverse noenhanced samplen 1.2 spacing 1.3 width -1.5

do for [format in 'png svg'] {
    if (format eq 'png') {
        set terminal pngcairo size 1800,1000 font 'DejaVu Sans,21' linewidth 2 background 'white'
        title_font = 'DejaVu Sans:Bold,22'
        small = ',16'
    } else {
        set terminal svg size 900,500 font 'DejaVu Sans,10.5' linewidth 1 background 'white' dynamic
        title_font = 'DejaVu Sans,12' # this terminal knows no bold but in enhanced text
        small = ',8'
    }
    # Over the whole picture: over the axes alone a long one would be cut.
    set label 1 plot_title at screen 0.5,0.955 center noenhanced font title_font
    set tmargin at screen 0.90
    set output base.'.'.format
    plot data index 0 using (middle($2, int($3))):4:(middle($2, int($3)) - half):(middle($2, int($3)) + half):4:5:(int($3) ? row_tint[int($1)] : row_colour[int($1)]) \
             with boxxyerror fs solid 1.0 border lc rgb 'white' lc rgb variable notitle, \
         data index 0 using (middle($2, int($3))):(shown(int($1), int($3), 1, $4, $5)):(sprintf(number, $5 - $4)) \
             with labels font small tc rgb 'white' notitle, \
         data index 0 using (middle($2, int($3))):(shown(int($1), int($3), 0, $4, $5)):(sprintf(number, $5 - $4)) \
             with labels font small tc rgb 'black' notitle, \
         data index 1 using (middle($1, int($2))):($5 > 0.01 * highest ? $3 : NaN):(0):5 \
             with vectors head size graph 0.006,90 lw 0.9 lc rgb '#404040' notitle, \
         data index 1 using (middle($1, int($2))):($3 + $5):(sprintf(number, $4)) \
             with labels offset 0,0.7 tc rgb 'black' notitle, \
         for [r = rows:1:-1] keyentry with boxes fs solid 1.0 border lc rgb 'white' fc rgb row_colour[r] title row_label[r], \
         for [p = 1:has_published] keyentry with lines lc rgb 'white' title ' ', \
         for [p = 0:2 * has_published - 1] keyentry with boxes fs solid 1.0 border lc rgb 'white' \
             fc rgb (p ? '#c9c9c9' : '#606060') title (p ? 'Published' : 'Simulated')
    set output
}
