# A line a system, with the published values as hollow points of its colour.
# `gnuplot -c lines.gp BASE` reads BASE.gp (names, scales) and BASE.dat (numbers),
# which `stillsuit plot` writes, and makes BASE.png and BASE.svg.
base = ARG1
load base.'.gp'
data = base.'.dat'

# Filled and hollow marks of the same shape: circle, square, triangle, diamond, ...
array full[5] = [7, 5, 9, 13, 11]
array hollow[5] = [6, 4, 8, 12, 10]
shape(i) = (i - 1) % 5 + 1
# Where there is none, gnuplot still wants to look at something.
published_at(p) = published_count > 0 ? sprintf('published%d', published[p]) : 'simulated1'

set encoding utf8
set xlabel x_label noenhanced
set ylabel y_label noenhanced offset 0.5,0
set border 3 lw 1 lc rgb '#404040'
set grid xtics ytics lt 1 lw 0.5 lc rgb '#d8d8d8'
set grid back
set xtics nomirror scale 0.6 noenhanced
set ytics nomirror scale 0.6
set key outside right center Left reverse noenhanced samplen 2 spacing 1.35 width -1.5
set offsets graph 0.02, graph 0.02, graph (y_scale eq 'linear' ? 0.04 : 0), 0

if (x_scale eq 'log') { set logscale x 2 }
if (y_scale eq 'log') { set logscale y 10 }
# Logarithmic with a place for 0: equal steps for doublings of 1 + x.
if (x_scale eq 'symlog') { set nonlinear x via log(1 + x) inverse exp(x) - 1 }
if (y_scale eq 'symlog') { set nonlinear y via log(1 + y) inverse exp(y) - 1 }
if (y_scale eq 'symlog') {
    set ytics (0)
    do for [power = 0:9] { set ytics add (10**power) }
}
if (x_scale eq 'linear' && !named) { set xrange [0:*] }
if (named) { set xrange [0.5:marks + 0.5]; set xtics rotate by 35 right }
if (y_scale eq 'linear') { set yrange [0:*] }
if (marks > 0) {
    set xtics ()
    do for [m = 1:marks] { set xtics add (mark_label[m] mark_x[m]) }
}

# Between names there is nothing.
lines_or_points = named ? 'points' : 'linespoints'

do for [format in 'png svg'] {
    if (format eq 'png') {
        set terminal pngcairo size 1600,950 font 'DejaVu Sans,21' linewidth 2 background 'white'
        title_font = 'DejaVu Sans:Bold,22'
        size = 2.2
    } else {
        set terminal svg size 800,475 font 'DejaVu Sans,10.5' linewidth 1 background 'white' dynamic
        title_font = 'DejaVu Sans,12' # this terminal knows no bold but in enhanced text
        size = 0.9
    }
    # Over the whole picture: over the axes alone a long one would be cut.
    set label 1 plot_title at screen 0.5,0.955 center noenhanced font title_font
    set tmargin at screen 0.90
    set output base.'.'.format
    plot for [i = 1:has_deviation * series] data index sprintf('simulated%d', i) using 1:2:3 \
             with yerrorbars lc rgb series_colour[i] lw 1 ps 0 notitle, \
         for [i = 1:series] data index sprintf('simulated%d', i) using 1:2 \
             with @lines_or_points lc rgb series_colour[i] lw 1.6 pt full[shape(i)] ps size title series_label[i], \
         for [p = 1:published_count] data index published_at(p) using 1:2 \
             with points lc rgb series_colour[published[p]] lw 1.2 pt hollow[shape(published[p])] ps 1.7 * size notitle, \
         for [p = 1:(published_count > 0)] keyentry \
             with points lc rgb '#606060' lw 1.2 pt 6 ps 1.7 * size title 'Published'
    set output
}
